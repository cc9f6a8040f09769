// Edge cases of the contract that need a server of their own: limits, ends of the process, name
// servers, mail hosts that refuse, and waits. The name of each test begins with the case's.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import net from 'node:net';
import test from 'node:test';
import { Webhook } from 'svix';
import { NameServer } from './dns.mjs';
import { mail, sql } from './edge_support.mjs';
import { Instance, sleep, until, webhookReceiver } from './support.mjs';

const simulated = (more = {}) => mail({ from: 'a@resend.dev', to: 'delivered@resend.dev', ...more });

/** An instance with a verified domain, a key and calls with it. */
async function started(database, env = {}, names = ['example.dev']) {
  const instance = await new Instance({ database, env: { ALLOW_PRIVATE_WEBHOOK_URLS: 'true', ...env } }).prepare();
  for (const name of names) instance.run('domains', 'add', name, '--i-own-this-domain');
  const key = instance.key();
  await instance.start();
  const call = (method, route, options = {}) => instance.call(method, route, { key, ...options });
  const status = async (id) => (await call('GET', `/emails/${id}`)).body.status;
  return { instance, key, call, status };
}

async function listening(server, host = '127.0.0.1') {
  server.listen(0, host);
  await new Promise((done) => server.once('listening', done));
  return server.address().port;
}

/** A mail host that answers 451 to the first `refusals` recipients. */
async function busyHost(refusals) {
  let refused = 0;
  const server = net.createServer((socket) => {
    let buffer = '';
    let data = false;
    socket.on('error', () => {});
    socket.write('220 busy.example ESMTP\r\n');
    socket.on('data', (chunk) => {
      buffer += chunk.toString('latin1');
      for (let end = buffer.indexOf('\r\n'); end >= 0; end = buffer.indexOf('\r\n')) {
        const line = buffer.slice(0, end);
        buffer = buffer.slice(end + 2);
        if (data) {
          if (line !== '.') continue;
          data = false;
          socket.write('250 2.0.0 kept\r\n');
        } else if (/^EHLO/i.test(line)) socket.write('250 busy.example\r\n');
        else if (/^RCPT/i.test(line) && refused < refusals) { refused += 1; socket.write('451 4.2.1 later\r\n'); }
        else if (/^DATA/i.test(line)) { data = true; socket.write('354 go on\r\n'); }
        else if (/^QUIT/i.test(line)) socket.end('221 2.0.0 bye\r\n');
        else socket.write('250 2.0.0 ok\r\n');
      }
    });
  });
  const port = await listening(server);
  return { port, refused: () => refused, stop: () => server.close() };
}

for (const database of ['sqlite', 'postgres']) {
  test(`limits of ${database}`, async (t) => {
    const { instance, call } = await started(database, { OPENSEND_RATELIMIT__ORG__SEND__RATE: '30/min', OPENSEND_RATELIMIT__ORG__SEND__BURST: '2' });
    const send = (name, body, options = {}) => call('POST', '/emails', { body, headers: { 'Idempotency-Key': name }, ...options });
    try {
      await t.test('E42 a replay needs a valid key and costs nothing', async () => {
        const other = (await call('POST', '/api-keys', { body: { name: 'other' } })).body;
        const first = await send('paid', simulated(), { key: other.token });
        assert.equal(first.status, 200, first.text);
        for (let i = 0; i < 10; i += 1) {
          const again = await send('paid', simulated());
          assert.deepEqual([again.status, again.text, again.headers.get('idempotency-replayed')], [200, first.text, 'true']);
        }
        const second = await send('second', simulated());
        assert.equal(second.status, 200, second.text);
        assert.equal((await call('DELETE', `/api-keys/${other.id}`)).status, 200);
        const revoked = await send('paid', simulated(), { key: other.token });
        assert.deepEqual([revoked.status, revoked.body.name, 'id' in revoked.body], [403, 'invalid_api_key', false]);
        assert.equal((await send('paid', simulated())).text, first.text);
      });

      await t.test('E36 a refused request gives its key back', async () => {
        const released = async (name, bad, want) => {
          const refused = await send(name, bad);
          assert.equal(refused.status, want, refused.text);
          const accepted = await until('it may send again', async () => {
            const answer = await send(name, simulated({ subject: name }));
            assert.ok([200, 429].includes(answer.status), answer.text);
            return answer.status === 200 ? answer : null;
          });
          assert.equal(accepted.headers.get('idempotency-replayed'), null);
          assert.equal((await send(name, simulated({ subject: name }))).text, accepted.text);
        };
        await released('invalid', simulated({ to: 'nobody' }), 422);
        await released('forbidden', simulated({ from: 'a@foreign.dev' }), 403);
        await sleep(200);
        await released('limited', simulated({ to: ['delivered+a@resend.dev', 'delivered+b@resend.dev'] }), 429);
        sql(instance, 'ALTER TABLE emails RENAME TO emails_away');
        let broken;
        try {
          broken = await until('the database refuses', async () => {
            const answer = await send('broken', simulated({ subject: 'broken' }));
            return answer.status === 429 ? null : answer;
          });
        } finally {
          sql(instance, 'ALTER TABLE emails_away RENAME TO emails');
        }
        assert.ok(broken.status >= 500, broken.text);
        assert.ok(!/SELECT|INSERT|emails_away|relation|no such table/i.test(broken.text), broken.text);
        await released('broken', simulated({ to: 'nobody' }), 422);
      });
    } finally {
      await instance.destroy();
    }
  });

  test(`E40 a crash between transaction and answer leads to a replay (${database})`, async () => {
    const { instance, call } = await started(database);
    try {
      const send = () => call('POST', '/emails', { body: simulated({ scheduled_at: 'in 1 hour' }), headers: { 'Idempotency-Key': 'order-1' } });
      await instance.stop();
      await instance.start({ OPENSEND_CRASH_AT: 'accept_committed:1' });
      await assert.rejects(send());
      assert.equal((await instance.exited).signal, 'SIGKILL');
      await instance.start();
      const again = await send();
      assert.deepEqual([again.status, again.headers.get('idempotency-replayed')], [200, 'true'], again.text);
      const list = (await call('GET', '/emails')).body.data;
      assert.deepEqual(list.map(({ id }) => id), [again.body.id]);
    } finally {
      await instance.destroy();
    }
  });

  test(`E76 mail is accepted while nothing outside answers (${database})`, async () => {
    const { instance, call } = await started(database, { OPENSEND_TRANSPORT_URL: 'smtp://127.0.0.1:1?tls=none', OPENSEND_DNS__SERVERS: '127.0.0.1:1' });
    try {
      const start = Date.now();
      const sent = await call('POST', '/emails', { body: mail({ attachments: [{ path: 'http://files.example/a.pdf' }] }) });
      assert.equal(sent.status, 200, sent.text);
      assert.ok(Date.now() - start < 2000);
      const plain = await call('POST', '/emails', { body: mail() });
      const waits = await until('it was tried', async () => {
        const { body } = await call('GET', `/emails/${plain.body.id}`);
        return body.status === 'deferred' ? body : null;
      });
      assert.equal(waits.last_event, 'delivery_delayed');
    } finally {
      await instance.destroy();
    }
  });

  test(`E85 a delay is told once however often it is tried (${database})`, async () => {
    const host = await busyHost(3);
    const { instance, call, status } = await started(database, { OPENSEND_TRANSPORT_URL: `smtp://127.0.0.1:${host.port}?tls=none` });
    try {
      const { id } = (await call('POST', '/emails', { body: mail() })).body;
      for (let tries = 1; tries <= 3; tries += 1) {
        await until(`refused ${tries} times`, async () => host.refused() === tries && (await status(id)) === 'deferred');
        sql(instance, 'UPDATE queue SET due_at = 1 WHERE lease_until = 0');
      }
      await until('it is sent', async () => (await status(id)) === 'sent');
      const types = await until('it is told', async () => {
        const all = (await call('GET', '/events/log')).body.data.map(({ type }) => type).filter((type) => type.startsWith('email.'));
        return all.includes('email.sent') ? all : null;
      });
      assert.deepEqual(types, ['email.delivery_delayed', 'email.sent']);
    } finally {
      await instance.destroy();
      host.stop();
    }
  });

  test(`E88 E92 an endpoint that fails is tried along the ladder with one id and one body (${database})`, async () => {
    let answer = 500;
    const hooks = await webhookReceiver(() => answer);
    const { instance, call } = await started(database);
    const minute = 60e3;
    const ladder = [5e3, 5 * minute, 30 * minute, 120 * minute, 300 * minute, 600 * minute, 840 * minute, 1200 * minute, 1440 * minute];
    try {
      const hook = (await call('POST', '/webhooks', { body: { endpoint: hooks.url, events: ['suppression.added'] } })).body;
      await call('POST', '/suppressions', { body: { email: 'a@example.com' } });
      const newest = async () => (await call('GET', `/webhooks/${hook.id}/deliveries?limit=1`)).body.data[0];
      for (let tries = 1; tries <= 10; tries += 1) {
        await until(`attempt ${tries}`, () => hooks.requests.length === tries);
        const one = await until('it is recorded', async () => { const found = await newest(); return found.attempt === tries ? found : null; });
        if (tries === 10) {
          assert.equal(one.next_retry_at, null);
          break;
        }
        const wait = Date.parse(one.next_retry_at) - Date.parse(one.attempted_at);
        const step = ladder[tries - 1];
        assert.ok(wait > 0.9 * step - 500 && wait < 1.1 * step + 500, `attempt ${tries} waits ${wait} ms, not ${step}`);
        if (tries === 1) continue; // this one really passes
        sql(instance, 'UPDATE webhook_deliveries SET due_at = 1 WHERE status = \'pending\' AND lease_until = 0; UPDATE webhook_queues SET due_at = 1');
      }
      const passed = hooks.requests[1].at - hooks.requests[0].at;
      assert.ok(passed > 4400 && passed < 7500, `${passed} ms`);
      const [event] = (await call('GET', `/webhooks/${hook.id}/events`)).body.data;
      assert.equal(event.status, 'failed');
      const timestamps = hooks.requests.map((one) => Number(one.headers['webhook-timestamp']));
      assert.ok(timestamps[1] - timestamps[0] >= 4, String(timestamps));

      answer = 200;
      assert.equal((await call('POST', `/webhooks/${hook.id}/events/${event.id}/replay`)).status, 202);
      await until('the replay', () => hooks.requests.length === 11);
      const attempts = await until('it is recorded', async () => {
        const all = (await call('GET', `/webhooks/${hook.id}/events/${event.id}/attempts`)).body.data;
        return all.length === 11 ? all : null;
      });
      assert.deepEqual([attempts.filter((one) => one.http_status_code === 200).length, attempts.filter((one) => one.http_status_code === 500).length], [1, 10]);
      assert.equal((await call('GET', `/webhooks/${hook.id}/events`)).body.data[0].status, 'success');
      for (const request of hooks.requests) {
        assert.equal(request.body, hooks.requests[0].body);
        assert.equal(request.headers['webhook-id'], event.id);
        assert.equal(request.headers['svix-id'], event.id);
        new Webhook(hook.signing_secret).verify(request.body, request.headers);
      }
    } finally {
      hooks.stop();
      await instance.destroy();
    }
  });

  test(`E89 an old secret signs for a day after its rotation (${database})`, async () => {
    const hooks = await webhookReceiver();
    const { instance, call } = await started(database);
    try {
      const old = (await call('POST', '/webhooks', { body: { endpoint: hooks.url, events: ['suppression.added'] } })).body;
      const fresh = (await call('POST', `/webhooks/${old.id}/signing-secret/rotate`)).body;
      const life = Date.parse(fresh.previous_secret_expires_at) - Date.now();
      assert.ok(Math.abs(life - 24 * 3600e3) < 60e3, String(life));
      const next = async (email) => {
        const before = hooks.requests.length;
        await call('POST', '/suppressions', { body: { email } });
        return until('it arrives', () => hooks.requests[before]);
      };
      const during = await next('a@example.com');
      for (const secret of [old.signing_secret, fresh.signing_secret]) new Webhook(secret).verify(during.body, during.headers);
      sql(instance, 'UPDATE webhooks SET prev_expires_at = 1');
      const after = await next('b@example.com');
      new Webhook(fresh.signing_secret).verify(after.body, after.headers);
      assert.throws(() => new Webhook(old.signing_secret).verify(after.body, after.headers));
      assert.equal(after.headers['webhook-signature'].split(' ').length, 1);
      assert.equal((await call('GET', `/webhooks/${old.id}`)).body.previous_secret_expires_at, null);
    } finally {
      hooks.stop();
      await instance.destroy();
    }
  });

  test(`what takes its time on ${database}`, { concurrency: true }, async (t) => {
    const held = new Set();
    const files = createServer((request, response) => {
      if (request.url === '/missing') { response.statusCode = 404; response.end('none'); return; }
      held.add(response);
    });
    const port = await listening(files);
    const answers = {
      '/moved': (response) => { response.writeHead(301, { Location: '/elsewhere' }); response.end(); },
      '/slow': (response) => { setTimeout(() => response.end('late'), 16000); },
      '/large': (response) => { response.end('x'.repeat(70 * 1024)); },
      '/healthy': (response) => { response.end('ok'); },
    };
    const arrivals = [];
    const hooks = createServer((request, response) => {
      arrivals.push({ url: request.url, at: Date.now() });
      request.resume();
      answers[request.url]?.(response);
    });
    const hooksPort = await listening(hooks);
    const { instance, call, status } = await started(database, {
      OPENSEND_TRANSPORT_URL: 'capture:///', OPENSEND_BLOB__URL_TTL: '1m', OPENSEND_EGRESS__PORTS: `${port}, ${hooksPort}` });
    try {
      await Promise.all([
        t.test('E68 a missing remote attachment ends the message, a late one delays it', async () => {
          const send = async (name) => (await call('POST', '/emails', { body: mail({ attachments: [{ path: `http://127.0.0.1:${port}${name}` }] }) })).body.id;
          const [missing, late] = [await send('/missing'), await send('/late')];
          await until('it failed', async () => (await status(missing)) === 'failed');
          const { recipients } = (await call('GET', `/emails/${missing}`)).body;
          assert.equal(recipients[0].last_error.code, 'attachment_fetch_failed');
          await until('it is delayed', async () => (await status(late)) === 'deferred', 45000);
          // Between two tries it says so; while one is under way, that somebody holds it.
          await until('the delay is explained', async () =>
            (await call('GET', `/emails/${late}/explain`)).body.why.code === 'attachment_pending', 45000);
          assert.ok(!instance.captured().some((text) => text.includes(`<${missing}@`) || text.includes(`<${late}@`)));
        }),
        t.test('E90 redirects and late answers fail, long answers do not, and nobody waits for another', async () => {
          const ids = {};
          for (const path of Object.keys(answers)) {
            ids[path] = (await call('POST', '/webhooks', { body: { endpoint: `http://127.0.0.1:${hooksPort}${path}`, events: ['suppression.added'] } })).body.id;
          }
          const attempt = async (path) => {
            const event = (await call('GET', `/webhooks/${ids[path]}/events`)).body.data.at(-1);
            if (!event) return null;
            return (await call('GET', `/webhooks/${ids[path]}/events/${event.id}/attempts`)).body.data[0] ?? null;
          };
          await call('POST', '/suppressions', { body: { email: 'one@example.com' } });
          await until('the slow one has it', () => arrivals.some((one) => one.url === '/slow'));
          const start = Date.now();
          await call('POST', '/suppressions', { body: { email: 'two@example.com' } });
          const healthy = await until('the healthy one has both', () => arrivals.filter((one) => one.url === '/healthy')[1]);
          assert.ok(healthy.at - start < 1000, `${healthy.at - start} ms`);
          const moved = await until('the redirect is recorded', () => attempt('/moved'));
          assert.deepEqual([moved.http_status_code, moved.error], [301, 'redirect_refused']);
          assert.ok(!arrivals.some((one) => one.url === '/elsewhere'));
          const large = await until('the long answer is recorded', () => attempt('/large'));
          assert.deepEqual([large.http_status_code, large.error, large.response], [200, null, 'x'.repeat(1000)]);
          const slow = await until('the late answer is recorded', () => attempt('/slow'));
          assert.deepEqual([slow.http_status_code, slow.error, slow.response], [0, 'timeout', '']);
          assert.ok(slow.duration_ms > 14000 && slow.duration_ms < 16000, String(slow.duration_ms));
        }),
        t.test('E114 a download link is worth nothing changed or late, and renders nothing', async () => {
          const content = Buffer.from('<script>alert(1)</script>').toString('base64');
          const { id } = (await call('POST', '/emails', { body: simulated({ attachments: [{ filename: 'page.html', content }] }) })).body;
          const [file] = (await call('GET', `/emails/${id}/attachments`)).body.data;
          const url = file.download_url.replace(/^https?:\/\/[^/]+/, instance.base);
          const good = await fetch(url);
          assert.equal(good.status, 200);
          assert.equal(good.headers.get('content-type'), 'application/octet-stream');
          assert.match(good.headers.get('content-disposition'), /^attachment; /);
          assert.match(good.headers.get('content-security-policy'), /sandbox/);
          const at = url.lastIndexOf('/') + 1;
          for (const place of [at, at + 5, Math.floor((at + url.length) / 2), url.length - 1]) {
            const changed = url.slice(0, place) + (url[place] === 'A' ? 'B' : 'A') + url.slice(place + 1);
            assert.equal((await fetch(changed)).status, 404, String(place - at));
          }
          await sleep(Date.parse(file.expires_at) - Date.now() + 1000);
          const late = await fetch(url);
          assert.equal(late.status, 410);
          const body = await late.json();
          assert.deepEqual([body.name, body.code], ['gone', 'link_expired']);
        }),
      ]);
    } finally {
      await instance.destroy();
      for (const server of [files, hooks]) { server.closeAllConnections(); server.close(); }
    }
  });
}
