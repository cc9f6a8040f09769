// Suppressions with the official client, and files in and out.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Resend } from 'resend';
import { Instance, smtpSink, until, webhookReceiver } from './support.mjs';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const kinds = ['sqlite', 'postgres'];
const full = ['created_at', 'email', 'id', 'metadata', 'note', 'object', 'origin', 'reason', 'scope', 'source_email_id',
  'source_event_id', 'source_id', 'source_message_id', 'suppressed_at', 'updated_at'];
const keysOf = (object) => Object.keys(object).sort();
const csv = (instance, key, body, headers = {}) =>
  instance.call('POST', '/suppressions/import', { key, body, headers: { 'Content-Type': 'text/csv; charset=utf-8', ...headers } });

async function exported(instance, key, query = '') {
  const response = await fetch(`${instance.base}/suppressions/export${query}`, { headers: { Authorization: `Bearer ${key}` } });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

for (const database of kinds) {
  test(`addresses are added, found, listed and removed (${database})`, async () => {
    const instance = await new Instance({ database, env: { ALLOW_PRIVATE_WEBHOOK_URLS: 'true' } }).prepare();
    const key = instance.key();
    const hooks = await webhookReceiver();
    try {
      await instance.start();
      const resend = new Resend(key, { baseUrl: instance.base });
      await resend.webhooks.create({ endpoint: hooks.url, events: ['suppression.added', 'suppression.removed'] });

      const made = await instance.call('POST', '/suppressions', { key, body: { email: 'Jörg@Bücher.Example', note: 'asked' } });
      assert.equal(made.status, 201, made.text);
      assert.deepEqual(keysOf(made.body), full);
      assert.deepEqual([made.body.origin, made.body.reason, made.body.scope, made.body.note], ['manual', 'manual', 'org', 'asked']);
      assert.deepEqual(made.body.metadata, {});
      assert.equal(made.body.created_at, made.body.suppressed_at);
      // The same address in another form: the first entry stays as it is.
      const again = await instance.call('POST', '/suppressions', { key, body: { email: 'Jörg@xn--bcher-kva.example', note: 'other', reason: 'bounced' } });
      assert.equal(again.status, 200);
      assert.deepEqual(again.body, made.body);
      const raised = await instance.call('POST', '/suppressions', { key, body: { email: 'Jörg@bücher.example', reason: 'complained' } });
      assert.deepEqual([raised.status, raised.body.id, raised.body.reason, raised.body.origin], [200, made.body.id, 'complained', 'manual']);

      const added = await resend.suppressions.add({ email: 'Ann+x@Example.COM' });
      assert.equal(added.error, null);
      assert.equal(added.data.object, 'suppression');
      const read = (await resend.suppressions.get('ann+X@example.com')).data;
      assert.deepEqual(keysOf(read), full);
      assert.equal(read.id, added.data.id);
      assert.deepEqual((await resend.suppressions.get(read.id)).data, read);
      assert.equal((await resend.suppressions.get('nobody@example.com')).error.name, 'not_found');
      assert.equal((await instance.call('GET', '/suppressions/no-address', { key })).body.code, 'suppression_not_found');
      assert.equal((await instance.call('GET', `/suppressions/${'0'.repeat(8)}-0000-7000-8000-${'0'.repeat(12)}`, { key })).status, 404);

      const batch = await resend.suppressions.batch.add({ emails: ['b1@example.com', 'B1@example.com', 'ann+x@example.com', 'b2@other.example'] });
      assert.equal(batch.error, null);
      assert.equal(batch.data.data[0].id, batch.data.data[1].id);
      assert.equal(batch.data.data[2].id, added.data.id);
      assert.deepEqual(keysOf(batch.data.data[3]), ['id', 'object']);
      const partly = await instance.call('POST', '/suppressions/batch/add', { key, body: { emails: ['new@example.com', 'broken'] } });
      assert.equal(partly.status, 422);
      assert.ok(partly.body.details.fieldErrors['emails.1']);
      assert.equal((await resend.suppressions.get('new@example.com')).error.name, 'not_found');
      for (const emails of [[], Array.from({ length: 101 }, (_, i) => `x${i}@example.com`), 'a@example.com', undefined]) {
        assert.equal((await instance.call('POST', '/suppressions/batch/add', { key, body: { emails } })).status, 422);
      }
      for (const email of ['a@b', 'Ann <a@example.com>', '', 5, null, 'a@example.com\r\nBcc: x@example.com']) {
        assert.equal((await instance.call('POST', '/suppressions', { key, body: { email } })).status, 422, String(email));
      }
      assert.equal((await instance.call('POST', '/suppressions', { key, body: { email: 'a@example.com', reason: 'gone' } })).status, 422);
      assert.equal((await instance.call('POST', '/suppressions', { key, body: { email: 'a@example.com', note: 'n'.repeat(256) } })).status, 422);

      const list = (await resend.suppressions.list()).data;
      assert.deepEqual([list.object, list.has_more, list.data.length], ['list', false, 4]);
      assert.deepEqual(keysOf(list.data[0]), full);
      const page = (await resend.suppressions.list({ limit: 2, after: list.data[0].id })).data;
      assert.deepEqual([page.has_more, page.data], [true, list.data.slice(1, 3)]);
      const back = (await resend.suppressions.list({ limit: 2, before: list.data[3].id })).data;
      assert.deepEqual([back.has_more, back.data], [true, list.data.slice(1, 3)]);
      const count = async (query) => (await instance.call('GET', `/suppressions?${query}`, { key })).body.data.length;
      assert.equal(await count('origin=manual'), 4);
      assert.equal(await count('origin=bounce'), 0);
      assert.equal(await count('reason=complained'), 1);
      assert.equal(await count('email=ANN%2Bx@example.com'), 1);
      assert.equal(await count('search=b'), 2);
      assert.equal(await count('search=b_'), 0);
      assert.equal(await count('search=%25'), 0);
      assert.equal(await count('domain=b%C3%BCcher.example'), 1);
      assert.equal(await count('domain=example.com'), 2);
      assert.equal(await count('created_after=2100-01-01'), 0);
      assert.equal(await count('created_before=2100-01-01'), 4);
      for (const bad of ['origin=x', 'reason=bounce', 'email=x', 'created_after=soon', 'limit=101', 'after=x']) {
        assert.equal((await instance.call('GET', `/suppressions?${bad}`, { key })).status, 422, bad);
      }

      const removed = await instance.call('DELETE', '/suppressions/b2%40other.example', { key });
      assert.deepEqual(removed.body, { object: 'suppression', id: batch.data.data[3].id, email: 'b2@other.example', deleted: true });
      assert.equal((await resend.suppressions.remove('b2@other.example')).error.name, 'not_found');
      const gone = await resend.suppressions.batch.remove({ emails: ['b1@example.com', 'never@example.com'] });
      assert.deepEqual(gone.data, { data: [{ object: 'suppression', id: batch.data.data[0].id, deleted: true }] });
      const byId = await resend.suppressions.batch.remove({ ids: [added.data.id, batch.data.data[0].id] });
      assert.deepEqual(byId.data.data.map((one) => one.id), [added.data.id]);
      for (const body of [{}, { emails: ['a@example.com'], ids: [added.data.id] }, { ids: ['x'] }, { ids: [] }]) {
        assert.equal((await instance.call('POST', '/suppressions/batch/remove', { key, body })).status, 422);
      }

      // Others neither see nor touch it, and may have the same address.
      const stranger = instance.key('--org', instance.run('orgs', 'create', '--name', 'other').trim());
      assert.equal((await instance.call('GET', `/suppressions/${made.body.id}`, { key: stranger })).status, 404);
      assert.equal((await instance.call('DELETE', `/suppressions/${made.body.id}`, { key: stranger })).status, 404);
      assert.equal((await instance.call('POST', '/suppressions', { key: stranger, body: { email: 'jörg@bücher.example' } })).status, 201);
      const reader = instance.key('--scope', 'read_access');
      assert.equal((await instance.call('GET', '/suppressions', { key: reader })).status, 200);
      assert.equal((await instance.call('POST', '/suppressions', { key: reader, body: { email: 'a@example.com' } })).status, 401);

      // One event per entry that came or went.
      await until('the events', () => hooks.requests.length >= 7);
      const events = hooks.requests.map((one) => JSON.parse(one.body)).sort((a, b) => a.sequence - b.sequence);
      assert.deepEqual(events.map((one) => one.type.split('.')[1]), ['added', 'added', 'added', 'added', 'removed', 'removed', 'removed']);
      assert.deepEqual(events[0].data, { id: made.body.id, email: made.body.email, origin: 'manual', source_id: null, created_at: made.body.created_at });
      const audit = instance.run('audit', 'export', '--org', instance.org ?? 'default').trim().split('\n').map((line) => JSON.parse(line));
      assert.equal(audit.filter((one) => one.action === 'suppression.added').length, 4);
      assert.equal(audit.filter((one) => one.action === 'suppression.removed').length, 3);
    } finally {
      hooks.stop();
      await instance.destroy();
    }
  });

  test(`files come in whole or not at all, and go out (${database})`, async () => {
    const instance = await new Instance({ database }).prepare();
    const key = instance.key();
    try {
      await instance.start();
      await instance.call('POST', '/suppressions', { key, body: { email: 'old@example.com' } });
      const good = await csv(instance, key, '\ufeffNote,EMAIL,reason,extra\r\n"said ""no"", twice",new@example.com,complained,1\r\n\r\n,old@example.com,bounced,2\n,=cmd@example.com,,\n,New@example.com,,');
      assert.equal(good.status, 201, good.text);
      assert.deepEqual(good.body, { object: 'suppression_import', imported_count: 2, existing_count: 2, rejected_count: 0, limit: 50000, errors: [] });
      const one = (await instance.call('GET', '/suppressions/new@example.com', { key })).body;
      assert.deepEqual([one.reason, one.origin, one.note], ['complained', 'manual', 'said "no", twice']);
      assert.equal((await instance.call('GET', '/suppressions/old@example.com', { key })).body.reason, 'manual');

      const bad = await csv(instance, key, 'email,reason\na@example.com,\nx,\nb@example.com,often\n');
      assert.equal(bad.status, 422);
      assert.deepEqual([bad.body.statusCode, bad.body.name, bad.body.object, bad.body.imported_count, bad.body.rejected_count],
        [422, 'validation_error', 'suppression_import', 0, 2]);
      assert.equal(bad.body.request_id, bad.headers.get('x-request-id'));
      assert.equal(bad.body.errors[0].row, 3);
      assert.deepEqual(bad.body.errors[0], { row: 3, field: 'email', value: 'x', message: 'Not an email address.' });
      assert.equal(bad.body.errors[1].field, 'reason');
      assert.equal((await instance.call('GET', '/suppressions/a@example.com', { key })).status, 404);
      for (const text of ['', 'a@example.com\n', 'email\n"open', 'email\n"a@example.com"x\n', `email\n${'a@example.com\n'.repeat(50001)}`]) {
        const refused = await csv(instance, key, text);
        assert.equal(refused.status, 422, text.slice(0, 40));
        assert.equal(refused.body.object, 'suppression_import');
      }
      assert.equal((await csv(instance, key, Buffer.from([0x65, 0x6d, 0xff]))).status, 422);
      assert.equal((await csv(instance, key, 'email\n', { 'Content-Type': 'application/xml' })).status, 415);
      assert.equal((await csv(instance, key, 'email\n', { 'Content-Encoding': 'gzip' })).status, 415);
      const large = await csv(instance, key, `email\n${'a'.repeat(5 * 1024 * 1024)}`).catch((error) => error);
      assert.ok(large.status === 413 || large instanceof TypeError, 'refused while it is sent');
      const json = await instance.call('POST', '/suppressions/import', { key, body: { csv: 'email\njson@example.com\n' }, headers: { 'Idempotency-Key': 'once' } });
      assert.equal(json.body.imported_count, 1);
      const replay = await instance.call('POST', '/suppressions/import', { key, body: { csv: 'email\njson@example.com\n' }, headers: { 'Idempotency-Key': 'once' } });
      assert.equal(replay.headers.get('idempotency-replayed'), 'true');
      assert.deepEqual(replay.body, json.body);
      assert.equal((await csv(instance, key, 'email\nother@example.com\n', { 'Idempotency-Key': 'once' })).body.name, 'invalid_idempotent_request');

      const out = await exported(instance, key);
      assert.equal(out.status, 200);
      assert.match(out.headers.get('content-type'), /^text\/csv/);
      assert.match(out.headers.get('content-disposition'), /^attachment; filename="suppressions-\d{4}-\d\d-\d\d\.csv"$/);
      assert.equal(out.headers.get('x-opensend-export-rows'), '4');
      const lines = out.text.trim().split('\r\n');
      assert.equal(lines[0], 'email,origin,reason,note,created_at');
      assert.ok(lines.some((line) => line.startsWith("'=cmd@example.com,manual,manual,,")));
      assert.ok(lines.some((line) => line.startsWith('new@example.com,manual,complained,"said ""no"", twice",')));
      assert.equal((await exported(instance, key, '?limit=1')).headers.get('x-opensend-export-rows'), '1');
      assert.equal((await exported(instance, key, '?reason=complained')).headers.get('x-opensend-export-rows'), '1');
      assert.equal((await exported(instance, key, '?limit=100001')).status, 422);
      const rows = Array.from({ length: 50000 }, (_, i) => `u${i}@example.net`).join('\n');
      const many = await csv(instance, key, `email\n${rows}`);
      assert.equal(many.body.imported_count, 50000, many.text);
      assert.equal((await csv(instance, key, `email\n${rows}`)).body.existing_count, 50000);
      const log = await until('all are in the log', async () => {
        const { body } = await instance.call('GET', '/events/log?limit=1', { key });
        return body.latest_sequence === 50004 ? body : null;
      }, 60000);
      assert.equal(log.data[0].type, 'suppression.added');
      assert.ok(instance.run('audit', 'export').includes('suppression.imported'));
    } finally {
      await instance.destroy();
    }
  });
}

test('a suppressed address gets no mail, a removed one does', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'opensend-sink-'));
  fs.chmodSync(folder, 0o755);
  const sink = await smtpSink(path.join(folder, 'sink'));
  const instance = await new Instance({ env: { OPENSEND_TRANSPORT_URL: `smtp://127.0.0.1:${sink.port}?tls=none` } }).prepare();
  instance.run('domains', 'add', 'example.dev', '--i-own-this-domain');
  const key = instance.key();
  try {
    await instance.start();
    const resend = new Resend(key, { baseUrl: instance.base });
    await resend.suppressions.add({ email: 'no@example.com' });
    const send = async (to) => (await resend.emails.send({ from: 'a@example.dev', to, subject: 's', text: 't' })).data.id;
    const ends = (id, state) => until(state, async () => (await resend.emails.get(id)).data.last_event === state);
    await ends(await send('NO@Example.com'), 'suppressed');
    await ends(await send('yes@example.com'), 'sent');
    await resend.suppressions.remove('no@example.com');
    await ends(await send('no@example.com'), 'sent');
  } finally {
    await instance.destroy();
    sink.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  }
});
