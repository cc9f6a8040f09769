// Edge cases of the contract that text files cannot say, on one server per database: the name of each
// test begins with the contract's name of the case. tests/api/README.md lists where the others are.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import test from 'node:test';
import { mail, over, randomText, raw, refOf, sql, tokenOf } from './edge_support.mjs';
import { Instance, sleep, until } from './support.mjs';

const root = path.join(path.dirname(new URL(import.meta.url).pathname), '../..');

/** Cases about routes that exist. */
const cases = `1 2 3 4 5 6 7 8 10 11 12 13 14 15 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 40 41 42
  43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79 80 81 82 83 85 86 87 88 89 90
  91 92 93 94 95 96 97 98 99 114 116 117`.split(/\s+/).map((number) => `E${number}`);

test('every case has one named place', () => {
  const places = new Map();
  const add = (id, place) => places.set(id, [...(places.get(id) ?? []), place]);
  for (const name of fs.readdirSync(path.join(root, 'tests/api'))) {
    const id = /^e0*(\d+)_\w+\.http$/.exec(name);
    if (id) add(`E${id[1]}`, name);
  }
  for (const line of fs.readFileSync(path.join(root, 'tests/api/README.md'), 'utf8').split('\n')) {
    const row = /^\| (E\d+) \| `([^`]+)` \| (.+) \|$/.exec(line);
    if (!row) continue;
    add(row[1], row[2]);
    const text = fs.readFileSync(path.join(root, row[2]), 'utf8').replaceAll('\\\'', '\'');
    for (const title of row[3].split('; ')) assert.ok(text.includes(title), `${row[1]}: ${row[2]} has no "${title}"`);
  }
  for (const id of cases) assert.equal(places.get(id)?.length, 1, `${id}: ${places.get(id) ?? 'nowhere'}`);
  assert.deepEqual([...places.keys()].filter((id) => !cases.includes(id)), []);
});

for (const database of ['sqlite', 'postgres']) {
  test(`edge cases on ${database}`, async (t) => {
    const instance = await new Instance({ database, env: { OPENSEND_TRANSPORT_URL: 'capture:///', ALLOW_PRIVATE_WEBHOOK_URLS: 'true' } }).prepare();
    for (const name of ['example.dev', 'bücher.example', 'xn--mnchen-3ya.example']) instance.run('domains', 'add', name, '--i-own-this-domain');
    const key = instance.key();
    await instance.start();
    const call = (method, route, options = {}) => instance.call(method, route, { key, ...options });
    const accepted = async (body) => {
      const answer = await call('POST', '/emails', { body });
      assert.equal(answer.status, 200, answer.text);
      return answer.body.id;
    };
    /** The captured messages of an e-mail, once it has ended. */
    const copies = async (id) => {
      await until(`${id} is delivered`, async () => (await call('GET', `/emails/${id}`)).body.status === 'delivered');
      return instance.captured().filter((text) => text.includes(`Message-ID: <${id}@`));
    };
    const headersOf = (text) => text.slice(text.search(/^DKIM-Signature:/m)).split('\r\n\r\n')[0].replace(/\r\n[ \t]+/g, ' ');
    const anonymous = ({ request_id: _, ...body }) => body;
    try {
      await t.test('E7 a key with a wrong checksum costs no look-up and looks like an unknown one', async () => {
        const unknown = tokenOf(randomText(12), randomText(32));
        const broken = unknown.slice(0, -1) + (unknown.endsWith('A') ? 'B' : 'A');
        const before = await call('GET', '/emails', { key: unknown });
        assert.equal(before.status, 403);
        sql(instance, 'ALTER TABLE api_credentials RENAME TO api_credentials_away');
        try {
          const looked = await call('GET', '/emails', { key: tokenOf(randomText(12), randomText(32)) });
          assert.ok(looked.status >= 500, `a look-up fails: ${looked.text}`);
          const refused = await call('GET', '/emails', { key: broken });
          assert.equal(refused.status, 403, refused.text);
          assert.deepEqual(anonymous(refused.body), anonymous(before.body));
        } finally {
          sql(instance, 'ALTER TABLE api_credentials_away RENAME TO api_credentials');
        }
      });

      await t.test('E8 a deleted key is refused on a connection that used it', async () => {
        const made = (await call('POST', '/api-keys', { body: { name: 'short' } })).body;
        const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
        const before = await over(agent, instance, 'GET', '/domains', made.token);
        assert.equal(before.status, 200);
        assert.equal((await call('DELETE', `/api-keys/${made.id}`)).status, 200);
        await sleep(1000);
        const after = await over(agent, instance, 'GET', '/domains', made.token);
        agent.destroy();
        assert.equal(after.port, before.port, 'the same connection');
        assert.deepEqual([after.status, after.body.code], [403, 'invalid_api_key']);
      });

      await t.test('E10 an expired key and one from elsewhere say so only with the right secret', async () => {
        const made = async (body) => (await call('POST', '/api-keys', { body: { name: 'narrow', ...body } })).body;
        const expired = await made({});
        const elsewhere = await made({ allowed_ips: ['192.0.2.0/24'] });
        sql(instance, `UPDATE api_keys SET expires_at = 1 WHERE id = '${expired.id}'`);
        const got = await until('it has expired', async () => {
          const answer = await call('GET', '/emails', { key: expired.token });
          return answer.status === 403 ? answer : null;
        });
        assert.deepEqual([got.body.name, got.body.code], ['invalid_api_key', 'api_key_expired']);
        const denied = await call('GET', '/emails', { key: elsewhere.token });
        assert.deepEqual([denied.status, denied.body.name, denied.body.code], [403, 'invalid_api_key', 'api_key_ip_denied']);
        const spoofed = await call('GET', '/emails', { key: elsewhere.token, headers: { 'X-Forwarded-For': '192.0.2.1' } });
        assert.equal(spoofed.body.code, 'api_key_ip_denied');
        const unknown = await call('GET', '/emails', { key: tokenOf(randomText(12), randomText(32)) });
        for (const { token } of [expired, elsewhere]) {
          const guess = await call('GET', '/emails', { key: tokenOf(refOf(token), randomText(32)) });
          assert.deepEqual(anonymous(guess.body), anonymous(unknown.body));
        }
      });

      await t.test('E21 a body one byte too long is refused, declared or in chunks', async () => {
        const limit = 1024 * 1024;
        const head = (route, fields) => Buffer.from(`POST ${route} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\n${fields}\r\n\r\n`);
        const chunk = (data) => Buffer.concat([Buffer.from(`${data.length.toString(16)}\r\n`), data, Buffer.from('\r\n')]);
        const body = (length) => Buffer.concat([Buffer.from('{"name":"exact"}'), Buffer.alloc(length - 16, ' ')]);
        const fits = await call('POST', '/api-keys', { body: body(limit) });
        assert.equal(fits.status, 201, fits.text);
        for (const [route, length] of [['/api-keys', limit + 1], ['/emails', 50 * limit + 1], ['/suppressions/import', 5 * limit + 1]]) {
          const declared = await raw(instance, [head(route, `Content-Length: ${length}`)].values());
          assert.equal(declared.status, 413, `${route}: ${declared.text.slice(0, 200)}`);
          assert.match(declared.text, /\r\nConnection: close\r\n/i);
          assert.equal(JSON.parse(declared.text.split('\r\n\r\n')[1]).name, 'payload_too_large');
        }
        const chunked = (data) => raw(instance, [head('/api-keys', 'Transfer-Encoding: chunked\r\nConnection: close'), chunk(data), Buffer.from('0\r\n\r\n')].values());
        assert.equal((await chunked(body(limit))).status, 201);
        const long = await chunked(body(limit + 1));
        assert.equal(long.status, 413, long.text.slice(0, 200));
        const endless = await raw(instance, (function* stream() {
          yield head('/api-keys', 'Transfer-Encoding: chunked');
          for (let i = 0; i < 128; i += 1) yield chunk(Buffer.alloc(limit, ' '));
        }()));
        assert.equal(endless.status, 413);
        assert.ok(endless.sent < 100 * limit, `${endless.sent} bytes were taken`);
        // A client that knows no better sends all and still reads the answer.
        assert.equal((await call('POST', '/emails', { body: Buffer.alloc(60 * limit, ' ') })).status, 413);
      });

      await t.test('E28 a walk through a growing list meets each message once', async () => {
        const walker = instance.key('--org', instance.run('orgs', 'create', '--name', 'walker').trim());
        const fill = async (count) => (await call('POST', '/emails/batch', { key: walker,
          body: Array.from({ length: count }, () => mail({ from: 'a@resend.dev', to: 'delivered@resend.dev', scheduled_at: 'in 1 hour' })) })).body.data.map(({ id }) => id);
        const originals = [...await fill(100), ...await fill(100), ...await fill(50)];
        const seen = [];
        const pages = [];
        for (let after = ''; ;) {
          const page = (await call('GET', `/emails?limit=100${after}`, { key: walker })).body;
          seen.push(...page.data);
          pages.push(page.data.length);
          await fill(20);
          if (!page.has_more) break;
          after = `&after=${page.data.at(-1).id}`;
        }
        assert.deepEqual(pages, [100, 100, 50]);
        assert.deepEqual(seen.map(({ id }) => id), originals.toSorted().toReversed());
        const times = seen.map((one) => one.created_at);
        assert.deepEqual(times, times.toSorted().toReversed());
      });

      await t.test('E41 a key is free again after 24 hours', async () => {
        const headers = { 'Idempotency-Key': 'daily' };
        const body = mail({ to: 'delivered@resend.dev' });
        const first = await call('POST', '/emails', { body, headers });
        const day = 24 * 3600 * 1e6;
        const older = (by) => sql(instance, `UPDATE idempotency_records SET created_at = created_at - ${by} WHERE idempotency_key = 'daily'`);
        older(day - 60e6);
        const replayed = await call('POST', '/emails', { body, headers });
        assert.deepEqual([replayed.text, replayed.headers.get('idempotency-replayed')], [first.text, 'true']);
        older(60e6);
        const fresh = await call('POST', '/emails', { body: { ...body, subject: 'Another day' }, headers });
        assert.equal(fresh.status, 200, fresh.text);
        assert.equal(fresh.headers.get('idempotency-replayed'), null);
        assert.notEqual(fresh.body.id, first.body.id);
        const again = await call('POST', '/emails', { body: { ...body, subject: 'Another day' }, headers });
        assert.equal(again.text, fresh.text);
      });

      await t.test('E50 a name with a comma is one sender, two mailboxes are none', async () => {
        for (const from of ['Acme, Inc. <ada@example.dev>', '"Acme, Inc." <ada@example.dev>']) {
          const [copy] = await copies(await accepted(mail({ from })));
          assert.match(headersOf(copy), /^From: "Acme, Inc\." <ada@example\.dev>\r?$/m);
        }
        const two = await call('POST', '/emails', { body: mail({ from: 'ada@example.dev, C <c@example.dev>' }) });
        assert.deepEqual([two.status, two.body.name], [422, 'invalid_from_address']);
      });

      await t.test('E51 a domain is the same in both of its forms', async () => {
        for (const from of ['a@xn--bcher-kva.example', 'a@bücher.example', 'a@BÜCHER.example', 'a@münchen.example', 'a@xn--mnchen-3ya.example']) {
          const id = await accepted(mail({ from }));
          assert.equal((await call('GET', `/emails/${id}`)).body.from, from);
          assert.equal((await copies(id)).length, 1, from);
        }
        const other = await call('POST', '/emails', { body: mail({ from: 'a@bucher.example' }) });
        assert.deepEqual([other.status, other.body.code], [403, 'domain_not_found']);
      });

      await t.test('E53 an address in two fields gets one copy', async () => {
        const id = await accepted(mail({ to: ['Friend <Twice@example.com>', 'other@example.com'], bcc: 'twice@EXAMPLE.com' }));
        const found = await copies(id);
        assert.deepEqual(found.map((text) => /^X-Envelope-To: (\S+)/m.exec(text)[1].toLowerCase()).sort(), ['other@example.com', 'twice@example.com']);
        assert.deepEqual((await call('GET', `/emails/${id}`)).body.recipients.map(({ kind }) => kind), ['to', 'to']);
      });

      await t.test('E54 a blind copy is in no header, and other recipients\' events do not tell of it', async () => {
        const id = await accepted(mail({ cc: 'seen@example.com', bcc: ['Hidden <hidden@example.com>'] }));
        const found = await copies(id);
        assert.equal(found.length, 3);
        for (const text of found) assert.ok(!/hidden/i.test(text.slice(text.search(/^DKIM-Signature:/m))), text);
        const events = await until('all events are numbered', async () => {
          const all = (await call('GET', '/events/log?limit=1000')).body.data.filter((one) => one.data.email_id === id);
          return all.length === 4 ? all : null;
        });
        for (const { data } of events) {
          assert.ok(!('bcc' in data));
          const { recipient, ...rest } = data;
          assert.ok(!/hidden/i.test(JSON.stringify(rest)), JSON.stringify(data));
        }
        assert.deepEqual(events.filter((one) => /hidden/i.test(one.data.recipient)).map((one) => one.type), ['email.delivered']);
      });

      await t.test('E55 plain text is made from HTML unless it is given or switched off', async () => {
        const parts = (text) => text.match(/^Content-Type: [a-z]+\/[a-z]+/gim).map((line) => line.slice(14).toLowerCase());
        const [both] = await copies(await accepted(mail({ text: undefined, html: '<p>Some <b>words</b></p>' })));
        assert.deepEqual(parts(both), ['multipart/alternative', 'text/plain', 'text/html']);
        assert.match(both, /^Some words/m);
        const [html] = await copies(await accepted(mail({ text: '', html: '<p>Only HTML</p>' })));
        assert.deepEqual(parts(html), ['text/html']);
        const [plain] = await copies(await accepted(mail({ text: 'Only text' })));
        assert.deepEqual(parts(plain), ['text/plain']);
        const attachments = [{ filename: 'a.csv', content: 'YQ==' }];
        const [mixed] = await copies(await accepted(mail({ text: 'Own words', html: '<p>HTML</p>', attachments })));
        assert.deepEqual(parts(mixed), ['multipart/mixed', 'multipart/alternative', 'text/plain', 'text/html', 'text/csv']);
        assert.match(mixed, /^Own words/m);
      });

      await t.test('E65 every form of an attachment gives the same bytes', async () => {
        const bytes = Buffer.from(Array.from({ length: 300 }, (_, i) => (i * 7) % 256));
        const base64 = bytes.toString('base64');
        const forms = [base64, base64.replace(/(.{76})/g, '$1\r\n'), bytes.toString('base64url'), bytes.toJSON(), [...bytes]];
        const id = await accepted(mail({ to: 'delivered@resend.dev', attachments: forms.map((content, i) => ({ filename: `${i}.bin`, content })) }));
        const list = (await call('GET', `/emails/${id}/attachments`)).body.data;
        assert.equal(list.length, forms.length);
        for (const one of list) {
          const got = await fetch(one.download_url.replace(/^https?:\/\/[^/]+/, instance.base));
          assert.deepEqual(Buffer.from(await got.arrayBuffer()), bytes, one.filename);
        }
        for (const content of ['***', 'YQ=a', 'Y', '', [256], [-1], ['a'], { type: 'Buffer', data: 'a' }, 7]) {
          const bad = await call('POST', '/emails', { body: mail({ attachments: [{ filename: 'a.bin', content }] }) });
          assert.deepEqual([bad.status, bad.body.name], [422, 'invalid_attachment'], JSON.stringify(content));
        }
      });

      await t.test('E87 the event log reads the same twice, and what is gone is said to be gone', async () => {
        const reader = instance.key('--org', instance.run('orgs', 'create', '--name', 'reader').trim());
        const log = (query) => call('GET', `/events/log?${query}`, { key: reader });
        for (let i = 1; i <= 5; i += 1) await call('POST', '/suppressions', { key: reader, body: { email: `e${i}@example.com` } });
        await until('all are numbered', async () => (await log('after=0')).body.latest_sequence === 5);
        const once = await log('after=2');
        assert.deepEqual(once.body.data.map(({ sequence }) => sequence), [3, 4, 5]);
        assert.equal((await log('after=2')).text, once.text);
        const org = sql(instance, 'SELECT id FROM orgs WHERE name = \'reader\'')[0];
        sql(instance, `DELETE FROM events WHERE org_id = '${org}' AND sequence <= 3`);
        const gone = await log('after=2');
        assert.deepEqual([gone.status, gone.body.name, gone.body.code, gone.body.details], [410, 'gone', 'cursor_expired', { oldest_sequence: 4 }]);
        assert.deepEqual((await log('after=3')).body.data.map(({ sequence }) => sequence), [4, 5]);
      });
    } finally {
      await instance.destroy();
    }
  });
}
