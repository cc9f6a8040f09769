// Everything about accepted mail with the official client: batches, changes of time, cancels, files,
// what came in, and attachments that the server fetches itself.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import path from 'node:path';
import test from 'node:test';
import { Resend } from 'resend';
import { Instance, until } from './support.mjs';

const kinds = ['sqlite', 'postgres'];

async function makeInstance(database, env = {}) {
  const instance = new Instance({ database, env: { OPENSEND_TRANSPORT_URL: 'capture://', ...env } });
  await instance.prepare();
  instance.run('domains', 'add', 'example.dev', '--i-own-this-domain');
  return instance;
}

const mail = (more = {}) => ({ from: 'Ada <ada@example.dev>', to: 'friend@example.com', subject: 'Hello', text: 'Hi', ...more });

/** Field names that the client's types promise (section 5 of the contract). */
function hasAll(object, names) {
  for (const name of names.split(' ')) assert.ok(name in object, `${name} is missing in ${JSON.stringify(object)}`);
}

async function ended(instance, key, id, status) {
  return until(`${id} is ${status}`, async () => {
    const got = await instance.call('GET', `/emails/${id}`, { key });
    return got.body.status === status ? got.body : null;
  });
}

for (const database of kinds) {
  test(`accepted mail on ${database}`, async (t) => {
    const instance = await makeInstance(database);
    const key = instance.key();
    await instance.start();
    process.env.RESEND_BASE_URL = instance.base;
    const resend = new Resend(key, { baseUrl: instance.base });
    try {
      await t.test('a batch is stored as a whole and in order', async () => {
        const sent = await resend.batch.send([mail({ subject: 'one' }), mail({ subject: 'two', to: ['delivered@resend.dev', 'x@example.com'] })]);
        assert.equal(sent.error, null);
        assert.equal(sent.data.data.length, 2);
        const [one, two] = await Promise.all(sent.data.data.map(({ id }) => resend.emails.get(id)));
        assert.equal(one.data.subject, 'one');
        assert.equal(two.data.subject, 'two');
        assert.equal(two.data.entrance, 'batch');
        assert.ok(sent.data.data[0].id < sent.data.data[1].id);
      });

      await t.test('a strict batch with a bad item stores nothing and names it', async () => {
        const before = (await instance.call('GET', '/emails?limit=100', { key })).body.data.length;
        const cases = [
          [[mail(), mail({ to: ['ok@example.com', 'nope'] })], 422, 'validation_error', '1.to.1'],
          [[mail(), mail({ from: 'a@foreign.dev' }), mail({ to: 'nope' })], 403, 'validation_error', null],
          [[mail({ subject: null })], 422, 'missing_required_field', '0.subject'],
          [[mail({ template: { id: 'welcome' }, text: undefined })], 404, 'not_found', null],
          [[mail({ topic_id: '019c5af7-9160-7027-99d9-49e070886965' })], 422, 'validation_error', '0.topic_id'],
          [[mail(), mail({ attachments: [{ content: '***' }] })], 422, 'invalid_attachment', '1.attachments.0'],
          [[7], 422, 'validation_error', null],
        ];
        for (const [body, status, name, field] of cases) {
          const answer = await instance.call('POST', '/emails/batch', { key, body });
          assert.equal(answer.status, status, answer.text);
          assert.equal(answer.body.name, name, answer.text);
          if (field) assert.ok(field in answer.body.details.fieldErrors, answer.text);
        }
        assert.equal((await instance.call('GET', '/emails?limit=100', { key })).body.data.length, before);
      });

      await t.test('a batch of the wrong shape or mode is refused', async () => {
        for (const body of [[], Array(101).fill(mail()), {}, 'null', '']) {
          const answer = await instance.call('POST', '/emails/batch', { key, body });
          assert.equal(answer.status, 422, answer.text);
        }
        const mode = await instance.call('POST', '/emails/batch', { key, body: [mail()], headers: { 'x-batch-validation': 'lax' } });
        assert.equal(mode.status, 422);
        assert.equal(mode.body.name, 'invalid_parameter');
        const full = await instance.call('POST', '/emails/batch', { key, body: Array(100).fill(mail({ to: 'delivered@resend.dev' })) });
        assert.equal(full.status, 200, full.text);
        assert.equal(new Set(full.body.data.map(({ id }) => id)).size, 100);
      });

      await t.test('a permissive batch stores what is good and reports the rest', async () => {
        const sent = await resend.batch.send(
          [mail({ subject: 'a' }), { ...mail(), to: undefined }, mail({ from: 'x@foreign.dev' }), mail({ subject: 'b' })],
          { batchValidation: 'permissive' });
        assert.equal(sent.error, null);
        assert.equal(sent.data.data.length, 2);
        assert.deepEqual(sent.data.errors.map(({ index }) => index), [1, 2]);
        assert.equal(sent.data.errors[0].message, 'Missing `to` field.');
        assert.equal((await resend.emails.get(sent.data.data[1].id)).data.subject, 'b');
        const none = await instance.call('POST', '/emails/batch', { key, body: [{}, 5], headers: { 'x-batch-validation': 'permissive' } });
        assert.equal(none.status, 200);
        assert.deepEqual(none.body.data, []);
        assert.equal(none.body.errors.length, 2);
      });

      await t.test('a batch replays by its key, apart from single sends and per mode', async () => {
        const headers = { 'Idempotency-Key': `batch-${database}` };
        const body = [mail(), mail({ subject: 'second' })];
        const first = await instance.call('POST', '/emails/batch', { key, body, headers });
        const again = await instance.call('POST', '/emails/batch', { key, body, headers });
        assert.equal(again.text, first.text);
        assert.equal(again.headers.get('idempotency-replayed'), 'true');
        const other = await instance.call('POST', '/emails/batch', { key, body, headers: { ...headers, 'x-batch-validation': 'permissive' } });
        assert.equal(other.status, 409);
        assert.equal((await instance.call('POST', '/emails', { key, body: mail(), headers })).status, 200);
        const fresh = { 'Idempotency-Key': `batch-bad-${database}` };
        assert.equal((await instance.call('POST', '/emails/batch', { key, body: [{}], headers: fresh })).status, 422);
        assert.equal((await instance.call('POST', '/emails/batch', { key, body, headers: fresh })).status, 200);
      });

      await t.test('scheduled mail gets another time, is canceled, and never leaves', async () => {
        const sent = await resend.emails.send(mail({ to: 'never@example.com', scheduledAt: 'in 1 hour' }));
        const { id } = sent.data;
        const later = new Date(Date.now() + 2 * 3600e3).toISOString();
        const updated = await resend.emails.update({ id, scheduledAt: later });
        assert.equal(updated.error, null);
        assert.deepEqual({ object: updated.data.object, id: updated.data.id }, { object: 'email', id });
        assert.equal((await resend.emails.get(id)).data.scheduled_at, later);
        for (const body of [{}, { scheduled_at: null }, { scheduled_at: 'yesterday' }, { scheduled_at: 7 }]) {
          assert.equal((await instance.call('PATCH', `/emails/${id}`, { key, body })).status, 422);
        }
        const canceled = await resend.emails.cancel(id);
        assert.equal(canceled.error, null);
        hasAll(canceled.data, 'object id');
        const again = await instance.call('POST', `/emails/${id}/cancel`, { key });
        assert.deepEqual(again.body, { object: 'email', id, status: 'canceled' });
        const refused = await resend.emails.update({ id, scheduledAt: later });
        assert.equal(refused.error.statusCode, 409);
        assert.equal(refused.error.code, 'email_not_editable');
        const events = (await instance.call('GET', `/emails/${id}/events`, { key })).body.data;
        assert.deepEqual(events.map(({ type }) => type), ['email.scheduled', 'email.scheduled', 'email.canceled']);
        assert.equal(events[1].payload.rescheduled, true);
        assert.ok(events.every(({ id: event }) => event.startsWith('msg_')));
        const page = await instance.call('GET', `/emails/${id}/events?limit=1&after=${events[0].id}`, { key });
        assert.deepEqual(page.body.data.map(({ id: event }) => event), [events[1].id]);
        assert.equal(page.body.has_more, true);
        assert.equal((await instance.call('GET', `/emails/${id}/events?after=${id}`, { key })).status, 422);
        assert.ok(!instance.captured().some((text) => text.includes('never@example.com')));
        const log = instance.run('audit', 'export');
        assert.match(log, /email\.canceled/);
        assert.match(log, /email\.rescheduled/);
      });

      await t.test('what has ended cannot be canceled, and its history is complete', async () => {
        const sent = await resend.emails.send(mail({ to: 'complained@resend.dev' }));
        const { id } = sent.data;
        await ended(instance, key, id, 'complained');
        const refused = await resend.emails.cancel(id);
        assert.equal(refused.error.code, 'email_not_cancelable');
        const events = (await instance.call('GET', `/emails/${id}/events`, { key })).body.data;
        assert.deepEqual(events.map(({ type }) => type),
          ['email.queued', 'email.processing', 'email.sent', 'email.delivered', 'email.complained']);
        assert.deepEqual(events.map(({ from_status: from }) => from), ['accepted', 'queued', 'sending', 'sent', 'delivered']);
        assert.equal(events[4].details.simulated, 'true');
        assert.equal(events[4].payload.complaint.feedback_type, 'abuse');
        const why = (await instance.call('GET', `/emails/${id}/explain`, { key })).body;
        assert.equal(why.object, 'email_explanation');
        assert.equal(why.why.code, 'terminal');
      });

      await t.test('one hundred cancels and a worker agree on one end', async () => {
        const { body } = await instance.call('POST', '/emails', { key, body: mail({ to: 'race@example.com', scheduled_at: new Date(Date.now() + 1500).toISOString() }) });
        const answers = [];
        await until('the race is over', async () => {
          const round = await Promise.all(Array.from({ length: 10 }, () => instance.call('POST', `/emails/${body.id}/cancel`, { key })));
          answers.push(...round.map(({ status }) => status));
          return answers.length >= 100;
        });
        const left = instance.captured().some((text) => text.includes('race@example.com'));
        assert.ok(answers.every((status) => status === (left ? 409 : 200)), String(answers));
      });

      await t.test('cancels in the moment of dispatch win or lose, never both', async () => {
        let won = 0;
        for (let i = 0; i < 30; i += 1) {
          const to = `moment${i}@example.com`;
          const { body } = await instance.call('POST', '/emails', { key, body: mail({ to }) });
          const canceled = await instance.call('POST', `/emails/${body.id}/cancel`, { key });
          assert.ok([200, 409].includes(canceled.status), canceled.text);
          const end = await ended(instance, key, body.id, canceled.status === 200 ? 'canceled' : 'delivered');
          assert.equal(instance.captured().some((text) => text.includes(to)), end.status === 'delivered');
          won += canceled.status === 200 ? 1 : 0;
        }
        t.diagnostic(`${won} of 30 canceled`);
      });

      await t.test('attachments are listed, downloaded without a key, and guarded', async () => {
        const sent = await resend.emails.send(mail({
          html: '<img src="cid:logo">',
          attachments: [
            { filename: 'Grüße.txt', content: Buffer.from('hello') },
            { filename: 'page.html', content: Buffer.from('<script>1</script>').toString('base64') },
            { filename: 'logo.png', content: Buffer.from('png'), contentId: 'logo' },
          ],
        }));
        const list = await resend.emails.attachments.list({ emailId: sent.data.id });
        assert.equal(list.error, null);
        hasAll(list.data, 'object has_more data');
        assert.deepEqual(list.data.data.map(({ filename }) => filename), ['Grüße.txt', 'page.html', 'logo.png']);
        for (const one of list.data.data) hasAll(one, 'id filename size content_type content_disposition content_id download_url expires_at');
        const [text, page, logo] = list.data.data;
        assert.equal(logo.content_disposition, 'inline');
        assert.equal(logo.content_id, 'logo');
        const second = await instance.call('GET', `/emails/${sent.data.id}/attachments?limit=1&after=${text.id}`, { key });
        assert.deepEqual(second.body.data.map(({ id }) => id), [page.id]);

        const got = await resend.emails.attachments.get({ emailId: sent.data.id, id: text.id });
        assert.equal(got.data.object, 'attachment');
        assert.equal(got.data.size, 5);
        assert.equal(got.data.status, 'stored');
        const local = (url) => url.replace(/^https?:\/\/[^/]+/, instance.base);
        const file = await fetch(local(got.data.download_url));
        assert.equal(file.status, 200);
        assert.equal(await file.text(), 'hello');
        assert.equal(file.headers.get('content-type'), 'text/plain');
        assert.match(file.headers.get('content-disposition'), /^attachment; filename="Gr__e.txt"; filename\*=UTF-8''Gr%C3%BC%C3%9Fe\.txt$/);
        assert.equal(file.headers.get('x-content-type-options'), 'nosniff');
        assert.equal(file.headers.get('content-security-policy'), 'sandbox');
        const html = await fetch(local(page.download_url));
        assert.equal(html.headers.get('content-type'), 'application/octet-stream');
        const head = await fetch(local(got.data.download_url), { method: 'HEAD' });
        assert.equal(head.status, 200);
        assert.equal(await head.text(), '');

        const url = local(got.data.download_url);
        const token = url.split('/files/')[1];
        for (let at = 0; at < token.length; at += 7) {
          const changed = token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1);
          assert.equal((await fetch(`${instance.base}/files/${changed}`)).status, 404, String(at));
        }
        for (const odd of ['x', '.', 'a.b', '%00', 'A'.repeat(3000), `${token}.${token}`]) {
          assert.equal((await fetch(`${instance.base}/files/${odd}`)).status, 404, odd);
        }
        const wrong = await instance.call('GET', `/emails/${sent.data.id}/attachments/${sent.data.id}`, { key });
        assert.equal(wrong.body.code, 'attachment_not_found');
        const nowhere = await instance.call('GET', `/emails/${text.id}/attachments`, { key });
        assert.equal(nowhere.body.code, 'email_not_found');
      });

      await t.test('get and list have the fields that the client promises', async () => {
        const sent = await resend.emails.send(mail({ to: 'delivered@resend.dev', tags: [{ name: 'a', value: 'b' }] }));
        const got = await resend.emails.get(sent.data.id);
        hasAll(got.data, 'object id message_id from to cc bcc reply_to subject html text last_event created_at scheduled_at tags topic_id');
        const list = await resend.emails.list({ limit: 1 });
        hasAll(list.data, 'object has_more data');
        hasAll(list.data.data[0], 'id message_id from to cc bcc reply_to subject last_event created_at scheduled_at topic_id');
        for (const absent of ['html', 'text', 'object', 'headers', 'recipients']) assert.ok(!(absent in list.data.data[0]), absent);
      });

      await t.test('checks answer in their order', async () => {
        const bad = [{ filename: 'run.exe', content: 'YQ==' }];
        const topic = '019c5af7-9160-7027-99d9-49e070886965';
        const cases = [
          [mail({ text: undefined, template: { id: 'none' }, from: 'a@foreign.dev', topic_id: topic }), 404, 'template_not_found'],
          [mail({ from: 'a@foreign.dev', topic_id: topic, attachments: bad }), 403, 'domain_not_found'],
          [mail({ topic_id: topic, attachments: bad }), 422, 'unknown_id'],
          [mail({ attachments: bad }), 422, 'attachment_type_blocked'],
          [mail({ template: { id: 'none' } }), 422, 'invalid_value'],
          [mail({ attachments: [{ path: 'https://127.0.0.1/a.pdf' }] }), 422, 'invalid_attachment'],
          [mail({ attachments: [{ path: 'https://[::ffff:10.0.0.1]/a.pdf' }] }), 422, 'invalid_attachment'],
          [mail({ attachments: [{ path: 'https://user:pw@example.com/a.pdf' }] }), 422, 'invalid_attachment'],
          [mail({ attachments: [{ path: 'file:///etc/passwd' }] }), 422, 'invalid_attachment'],
        ];
        for (const [body, status, code] of cases) {
          const answer = await instance.call('POST', '/emails', { key, body });
          assert.equal(answer.status, status, answer.text);
          assert.equal(answer.body.code, code, answer.text);
        }
        const large = await instance.call('POST', '/emails', { key, body: mail({ attachments: [{ filename: 'a.bin', content: Buffer.alloc(31_400_000).toString('base64') }] }) });
        assert.equal(large.status, 413, large.text);
        assert.equal(large.body.code, 'message_too_large');
      });

      await t.test('simulator addresses of every kind share one message with a real one', async () => {
        const outcomes = await instance.call('POST', '/emails', { key, body: mail({
          to: ['delivered+a@resend.dev', 'bounced@opensend.test'], cc: ['failed@resend.dev', 'nobody@resend.dev'], bcc: ['suppressed@resend.dev', 'real@example.com'] }) });
        const end = await until('all recipients end', async () => {
          const { body } = await instance.call('GET', `/emails/${outcomes.body.id}`, { key });
          return body.recipients.every(({ status }) => !['queued', 'sending'].includes(status)) ? body : null;
        });
        assert.deepEqual(end.recipients.map(({ status }) => status), ['delivered', 'bounced', 'failed', 'bounced', 'suppressed', 'delivered']);
        assert.equal(end.status, 'bounced');
      });

      await t.test('every copy carries its own mark, the same on each', async () => {
        const sent = await instance.call('POST', '/emails', { key, body: mail({ to: ['one@mark.example', 'two@mark.example'] }) });
        const copies = await until('both copies are there', () => {
          const found = instance.captured().filter((text) => text.includes(`Message-ID: <${sent.body.id}@example.dev>`));
          return found.length === 2 ? found : null;
        });
        const marks = copies.map((text) => /^X-OpenSend-ID: ([a-z2-7]{48})\r?$/m.exec(text)?.[1]);
        assert.ok(marks.every(Boolean), copies[0]);
        assert.notEqual(marks[0], marks[1]);
      });
    } finally {
      await instance.destroy();
    }
  });

  test(`another tenant and a narrow key see nothing of it (${database})`, async () => {
    const instance = await makeInstance(database);
    const key = instance.key();
    const reader = instance.key('--scope', 'read_access');
    const sender = instance.key('--scope', 'sending_access');
    await instance.start();
    try {
      const { body } = await instance.call('POST', '/emails', { key, body: mail({ scheduled_at: 'in 1 hour', attachments: [{ filename: 'a.txt', content: 'YQ==' }] }) });
      for (const [method, route] of [['PATCH', ''], ['POST', '/cancel']]) {
        for (const narrow of [reader, sender]) {
          const answer = await instance.call(method, `/emails/${body.id}${route}`, { key: narrow, body: { scheduled_at: 'in 2 hours' } });
          assert.equal(answer.status, 401, answer.text);
        }
      }
      for (const route of ['events', 'explain', 'attachments']) {
        assert.equal((await instance.call('GET', `/emails/${body.id}/${route}`, { key: reader })).status, 200, route);
        assert.equal((await instance.call('GET', `/emails/${body.id}/${route}`, { key: sender })).status, 401, route);
        const unknown = await instance.call('GET', `/emails/019cadd4-cbcb-7f91-8540-60d7d17dd01c/${route}`, { key });
        assert.equal(unknown.body.code, 'email_not_found');
        assert.equal((await instance.call('GET', `/emails/nope/${route}`, { key })).status, 422);
      }
      const received = await instance.call('GET', '/emails/receiving', { key });
      assert.deepEqual(received.body, { object: 'list', has_more: false, data: [] });
      assert.equal((await instance.call('GET', `/emails/receiving/${body.id}`, { key })).body.code, 'received_email_not_found');
      assert.equal((await instance.call('GET', '/emails/receiving/nope', { key })).status, 422);
      assert.equal((await instance.call('GET', '/emails/receiving?to=nope', { key })).status, 422);
      assert.equal((await instance.call('POST', '/emails/batch', { key: sender, body: [mail()] })).status, 200);
      assert.equal((await instance.call('POST', '/emails/batch', { key: reader, body: [mail()] })).status, 401);
    } finally {
      await instance.destroy();
    }
  });

  test(`remote attachments are fetched at dispatch, once, and only from where it is allowed (${database})`, async () => {
    const hits = [];
    let private_hits = 0;
    let broken = true;
    const inner = createServer((request, response) => { private_hits += 1; response.end('secret'); }).listen(0, '127.0.0.2');
    const files = createServer((request, response) => {
      hits.push(request.url);
      if (request.url === '/good.pdf') return response.end('remote bytes');
      if (request.url === '/redirect') {
        response.writeHead(302, { Location: `http://127.0.0.2:${inner.address().port}/` });
        return response.end();
      }
      if (request.url === '/large') {
        response.writeHead(200, { 'Content-Type': 'application/pdf' });
        const piece = Buffer.alloc(1024 * 1024);
        let left = 31;
        const more = () => { while (left > 0) { left -= 1; if (!response.write(piece)) return response.once('drain', more); } return response.end(); };
        response.on('error', () => {});
        return more();
      }
      if (request.url === '/recovers') {
        response.statusCode = broken ? 503 : 200;
        return response.end(broken ? 'later' : 'late bytes');
      }
      response.statusCode = 404;
      return response.end('none');
    }).listen(0, '127.0.0.1');
    await Promise.all([inner, files].map((server) => server.listening || new Promise((done) => server.once('listening', done))));
    const { port } = files.address();
    const url = (name) => `http://127.0.0.1:${port}${name}`;
    const instance = await makeInstance(database, { ALLOW_PRIVATE_WEBHOOK_URLS: 'true', OPENSEND_EGRESS__PORTS: String(port) });
    const key = instance.key();
    await instance.start();
    const send = async (name) => (await instance.call('POST', '/emails', { key, body: mail({ to: ['a@example.com', 'b@example.com'], attachments: [{ path: url(name), filename: 'x.pdf' }] }) })).body.id;
    const attachment = async (id) => (await instance.call('GET', `/emails/${id}/attachments`, { key })).body.data[0];
    try {
      const later = (await instance.call('POST', '/emails', { key, body: mail({ scheduled_at: 'in 1 hour', attachments: [{ path: url('/good.pdf') }] }) })).body.id;
      const pending = await attachment(later);
      assert.deepEqual([pending.status, pending.size, pending.download_url, pending.filename], ['pending', 0, null, 'good.pdf']);
      assert.deepEqual(hits, [], 'nothing is fetched before dispatch');

      const good = await send('/good.pdf');
      await ended(instance, key, good, 'delivered');
      assert.ok(instance.captured().filter((text) => text.includes(Buffer.from('remote bytes').toString('base64'))).length >= 2);
      const stored = await attachment(good);
      assert.equal(stored.status, 'stored');
      assert.equal(stored.size, 12);
      const downloaded = await fetch(stored.download_url.replace(/^https?:\/\/[^/]+/, instance.base));
      assert.equal(await downloaded.text(), 'remote bytes');

      for (const name of ['/missing', '/redirect', '/large']) {
        const id = await send(name);
        const end = await ended(instance, key, id, 'failed');
        assert.equal(end.recipients[0].last_error.code, 'attachment_fetch_failed', name);
        assert.equal((await attachment(id)).status, 'failed', name);
        const events = (await instance.call('GET', `/emails/${id}/events`, { key })).body.data;
        assert.equal(events.at(-1).payload.failed.reason, 'attachment_fetch_failed');
      }
      assert.equal(private_hits, 0, 'a redirect is not followed');

      const recovers = await send('/recovers');
      await ended(instance, key, recovers, 'deferred');
      const why = (await instance.call('GET', `/emails/${recovers}/explain`, { key })).body;
      assert.equal(why.why.code, 'attachment_pending', JSON.stringify(why));
      broken = false;
      await ended(instance, key, recovers, 'delivered');
    } finally {
      await instance.destroy();
      for (const server of [inner, files]) { server.closeAllConnections(); server.close(); }
    }
  });
}

test('a download link ends with its time', async () => {
  const instance = await makeInstance('sqlite', { OPENSEND_BLOB__URL_TTL: '1m' });
  const key = instance.key();
  await instance.start();
  try {
    const { body } = await instance.call('POST', '/emails', { key, body: mail({ attachments: [{ filename: 'a.txt', content: 'YQ==' }] }) });
    const [file] = (await instance.call('GET', `/emails/${body.id}/attachments`, { key })).body.data;
    const life = Date.parse(file.expires_at) - Date.now();
    assert.ok(life > 50_000 && life <= 60_000, String(life));
    assert.equal(path.posix.dirname(new URL(file.download_url).pathname), '/files');
  } finally {
    await instance.destroy();
  }
});
