// The contract of the routes that exist: errors, shapes, limits; and that a refused request leaves
// nothing behind.
import assert from 'node:assert/strict';
import net from 'node:net';
import test from 'node:test';
import { Instance, until } from './support.mjs';

const good = { from: 'Ada <ada@example.dev>', to: ['delivered@opensend.test'], subject: 'Hi', text: 'Hello' };

for (const database of ['sqlite', 'postgres']) {
  test(`the API on ${database}`, async (t) => {
    const instance = await new Instance({ database }).prepare();
    instance.run('domains', 'add', 'example.dev', '--i-own-this-domain');
    const key = instance.key();
    const sending = instance.key('--scope', 'sending_access');
    const reading = instance.key('--scope', 'read_access');
    await instance.start();
    const send = (body, options = {}) => instance.call('POST', '/emails', { key, body, ...options });
    const count = async () => (await instance.call('GET', '/emails?limit=100', { key })).body.data.length;
    const fails = async (promise, status, name, code) => {
      const answer = await promise;
      assert.equal(answer.status, status, answer.text);
      assert.equal(answer.body.name, name, answer.text);
      if (code) assert.equal(answer.body.code, code, answer.text);
      assert.equal(answer.body.statusCode, status);
      assert.equal(answer.body.message, answer.body.error);
      assert.equal(answer.body.request_id, answer.headers.get('x-request-id'));
      return answer;
    };
    try {
      await t.test('refuses what it cannot read and leaves no row', async () => {
        await fails(send('{"from":'), 400, 'validation_error', 'invalid_json');
        await fails(send('{"a":1,"a":2}'), 400, 'validation_error', 'invalid_json');
        await fails(send('{"subject":"\\ud800"}'), 400, 'validation_error', 'invalid_json');
        await fails(send(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])), 400, 'validation_error', 'invalid_json');
        await fails(send('['.repeat(33) + ']'.repeat(33)), 400, 'validation_error', 'json_too_complex');
        await fails(send('['.repeat(200000)), 400, 'validation_error');
        await fails(send(JSON.stringify(good), { headers: { 'Content-Type': 'text/plain' } }), 415, 'unsupported_media_type');
        await fails(send(good, { headers: { 'Content-Encoding': 'gzip' } }), 415, 'unsupported_media_type');
        await fails(send([good]), 422, 'validation_error');
        await fails(instance.call('POST', '/api-keys', { key, body: { name: 'x'.repeat(1024 * 1024) } }), 413, 'payload_too_large');
        assert.equal(await count(), 0);
      });

      await t.test('logs a request whose header is no text, and others beside it', async () => {
        const raw = (agent) => new Promise((done, fail) => {
          let answer = '';
          const socket = net.connect(instance.port, '127.0.0.1');
          socket.on('data', (chunk) => { answer += chunk.toString('latin1'); });
          socket.on('close', () => done(answer));
          socket.on('error', fail);
          socket.write(Buffer.concat([
            Buffer.from(`GET /domains HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer ${key}\r\nUser-Agent: `),
            agent, Buffer.from('\r\n\r\n')]));
        });
        assert.match(await raw(Buffer.from([0x61, 0xff, 0xc3])), /^HTTP\/1.1 200 /);
        assert.match(await raw(Buffer.from('neighbour')), /^HTTP\/1.1 200 /);
        await until('both are logged', async () => {
          const agents = (await instance.call('GET', '/logs?endpoint=/domains', { key })).body.data.map((one) => one.user_agent);
          return agents.includes('a\ufffd\ufffd') && agents.includes('neighbour');
        });
      });

      await t.test('refuses bad fields with the names of the contract', async () => {
        const without = (field) => { const { [field]: _, ...rest } = good; return rest; };
        await fails(send(without('from')), 422, 'missing_required_field');
        await fails(send(without('to')), 422, 'missing_required_field');
        await fails(send(without('subject')), 422, 'missing_required_field');
        await fails(send({ ...good, subject: null }), 422, 'missing_required_field');
        await fails(send(without('text')), 422, 'missing_required_field');
        await fails(send({ ...good, text: '', html: '' }), 422, 'missing_required_field');
        await fails(send({ ...good, from: 'nobody' }), 422, 'invalid_from_address');
        await fails(send({ ...good, from: 'a@b.co, C <c@d.co>' }), 422, 'invalid_from_address');
        const second = await fails(send({ ...good, to: ['a@b.co', 'x'] }), 422, 'validation_error', 'invalid_email');
        assert.ok(second.body.details.fieldErrors.to && second.body.details.fieldErrors['to.1']);
        await fails(send({ ...good, to: [] }), 422, 'validation_error');
        await fails(send({ ...good, to: 'a@b.co,c@d.co' }), 422, 'validation_error', 'invalid_email');
        await fails(send({ ...good, to: Array.from({ length: 51 }, (_, i) => `a${i}@b.co`) }), 422, 'validation_error', 'too_many');
        for (const field of ['subject']) {
          await fails(send({ ...good, [field]: 'a\r\nBcc: x@y.com' }), 422, 'validation_error');
        }
        await fails(send({ ...good, from: 'A\r\nB <ada@example.dev>' }), 422, 'invalid_from_address');
        await fails(send({ ...good, to: ['A\r\nB <a@b.co>'] }), 422, 'validation_error');
        await fails(send({ ...good, headers: { 'X-A': 'b\r\nBcc: c@d.co' } }), 422, 'validation_error');
        await fails(send({ ...good, headers: { 'X-A\r\nBcc': 'x' } }), 422, 'validation_error');
        await fails(send({ ...good, headers: { Bcc: 'c@d.co' } }), 422, 'validation_error', 'header_not_allowed');
        await fails(send({ ...good, headers: { 'Content-Type': 'x' } }), 422, 'validation_error', 'header_not_allowed');
        await fails(send({ ...good, text: 'a\u0000b' }), 422, 'validation_error');
        await fails(send({ ...good, tags: [{ name: 'a b', value: 'x' }] }), 422, 'validation_error');
        await fails(send({ ...good, tags: [{ name: 'a', value: '1' }, { name: 'a', value: '2' }] }), 422, 'validation_error', 'duplicate_tag');
        await fails(send({ ...good, attachments: [{ filename: 'run.EXE', content: 'aGk=' }] }), 422, 'invalid_attachment', 'attachment_type_blocked');
        await fails(send({ ...good, attachments: [{ filename: 'a.txt', content: '!!' }] }), 422, 'invalid_attachment');
        await fails(send({ ...good, scheduled_at: 'soon' }), 422, 'validation_error');
        await fails(send({ ...good, scheduled_at: 'in 31 days' }), 422, 'validation_error', 'out_of_range');
        await fails(send({ ...good, text: undefined, html: undefined, template: { id: 'x' } }), 404, 'not_found', 'template_not_found');
        await fails(send({ ...good, unknown: 1 }, { headers: { 'X-OpenSend-Strict': 'true' } }), 422, 'validation_error', 'unknown_field');
        await fails(send({ ...good, from: 'a@nowhere.dev' }), 403, 'validation_error', 'domain_not_found');
        await fails(send({ ...good, from: 'a@sub.example.dev' }), 403, 'validation_error', 'domain_not_found');
        await fails(send({ ...good, from: 'onboarding@resend.dev', to: ['x@y.com'] }), 403, 'validation_error', 'simulator_sender_only');
        assert.equal(await count(), 0);
      });

      await t.test('knows who is calling', async () => {
        const list = (headers) => instance.call('GET', '/emails', { headers });
        await fails(list({}), 401, 'missing_api_key', 'missing_api_key');
        await fails(list({ Authorization: 'Basic eA==' }), 401, 'missing_api_key', 'malformed_api_key');
        await fails(list({ Authorization: 'Bearer a b' }), 401, 'missing_api_key', 'malformed_api_key');
        const unknown = await fails(list({ Authorization: 'Bearer os_7Hq2LmZp4RtXc9VbN3kWs8YdQ1fGj6TzA0uEo5iRxP2h3Z6eVp' }), 403, 'invalid_api_key');
        const checksum = await fails(list({ Authorization: 'Bearer os_7Hq2LmZp4RtXc9VbN3kWs8YdQ1fGj6TzA0uEo5iRxP2h3Z6eVq' }), 403, 'invalid_api_key');
        assert.equal(unknown.body.message, checksum.body.message);
        assert.equal((await list({ Authorization: `bearer \t ${key}` })).status, 200);
        await fails(instance.call('GET', '/emails', { key: sending }), 401, 'restricted_api_key', 'insufficient_api_key_permission');
        await fails(instance.call('POST', '/emails', { key: reading, body: good }), 401, 'restricted_api_key');
        await fails(instance.call('POST', '/api-keys', { key: sending, body: { name: 'x' } }), 401, 'restricted_api_key');
        await fails(instance.call('POST', '/api-keys', { key, body: { name: 'x', permission: 'admin' } }), 422, 'invalid_access');
      });

      await t.test('routes as the contract says', async () => {
        await fails(instance.call('GET', '/nope', { headers: { Accept: 'text/html' } }), 404, 'not_found', 'route_not_found');
        await fails(instance.call('GET', '/api/api/emails', { key }), 404, 'not_found', 'route_not_found');
        const put = await fails(instance.call('PUT', '/domains'), 405, 'method_not_allowed');
        assert.equal(put.headers.get('allow'), 'GET, HEAD, POST, OPTIONS');
        const options = await fetch(`${instance.base}/emails`, { method: 'OPTIONS' });
        assert.equal(options.status, 204);
        assert.equal(options.headers.get('access-control-allow-origin'), null);
        const head = await fetch(`${instance.base}/emails`, { method: 'HEAD', headers: { Authorization: `Bearer ${key}` } });
        assert.equal(head.status, 200);
        assert.equal((await instance.call('GET', '/api/emails', { key })).text, (await instance.call('GET', '/emails', { key })).text);
        await fails(instance.call('GET', '/emails/not-a-uuid', { key }), 422, 'invalid_parameter');
        await fails(instance.call('GET', '/emails/019cadd4-cbcb-7f91-8540-60d7d17dd01c', { key }), 404, 'not_found', 'email_not_found');
        for (const query of ['limit=0', 'limit=101', 'limit=x']) {
          await fails(instance.call('GET', `/emails?${query}`, { key }), 422, 'validation_error');
        }
        await fails(instance.call('GET', '/emails?after=x', { key }), 422, 'invalid_parameter');
        for (const name of ['x-content-type-options', 'content-security-policy', 'x-frame-options']) {
          assert.ok(head.headers.get(name), name);
        }
        assert.equal(head.headers.get('server'), null);
      });

      await t.test('simulates every outcome and tells it', async () => {
        const expected = { delivered: 'delivered', bounced: 'bounced', complained: 'complained', suppressed: 'suppressed', failed: 'failed', nobody: 'bounced' };
        for (const [local, last] of Object.entries(expected)) {
          const sent = await send({ ...good, to: [`${local}+label@resend.dev`] });
          assert.equal(sent.status, 200, sent.text);
          await until(`${local} ends as ${last}`, async () =>
            (await instance.call('GET', `/emails/${sent.body.id}`, { key })).body.last_event === last);
        }
        const sent = await send({ ...good, from: 'onboarding@resend.dev' });
        assert.equal(sent.status, 200);
      });

      await t.test('accepts with ignored fields, tags, schedule and shows what was sent', async () => {
        const sent = await send({
          ...good, cc: 'Cc <cc@opensend.test>', reply_to: ['r@x.com'], tags: [{ name: 'a', value: 'b' }],
          headers: { 'X-Entity-Ref-ID': '42' }, scheduled_at: 'in 1 hour', nonsense: true, topic_id: null,
        });
        assert.equal(sent.status, 200, sent.text);
        assert.equal(sent.headers.get('x-opensend-ignored-fields'), 'nonsense');
        const read = (await instance.call('GET', `/emails/${sent.body.id}`, { key })).body;
        assert.equal(read.status, 'scheduled');
        assert.equal(read.last_event, 'scheduled');
        assert.deepEqual(read.cc, ['Cc <cc@opensend.test>']);
        assert.deepEqual(read.headers, { 'X-Entity-Ref-ID': '42' });
        assert.equal(read.message_id, `<${sent.body.id}@example.dev>`);
        assert.equal(read.recipients.length, 2);
        assert.ok(Math.abs(Date.parse(read.scheduled_at) - Date.now() - 3600000) < 60000);
      });

      await t.test('filters a list', async () => {
        const sent = await send({ ...good, subject: 'Filter me', to: ['Odd <delivered+Filter@opensend.test>'], tags: [{ name: 'f', value: 'one' }, { name: 'g_1', value: '' }] });
        const found = async (query) => (await instance.call('GET', `/emails?${query}`, { key })).body.data.map((email) => email.id);
        const domain = (await instance.call('GET', '/domains', { key })).body.data[0].id;
        for (const query of ['tag_name=f', 'tag_name=f&tag_value=one', 'tag_name=g_1', 'subject=Filter', 'to=DELIVERED%2Bfilter@opensend.test',
          `tag_name=f&domain_id=${domain}`, `tag_name=f&from=ada@example.dev&created_after=2020-01-01`]) {
          assert.deepEqual(await found(query), [sent.body.id], query);
        }
        for (const query of ['tag_name=f&tag_value=on', 'tag_name=gx1', 'tag_name=f&created_before=2020-01-01', 'tag_name=f&from=eve@example.dev',
          'tag_name=f&domain_id=019cadd4-cbcb-7f91-8540-60d7d17dd01c', 'tag_name=f&topic_id=019cadd4-cbcb-7f91-8540-60d7d17dd01c']) {
          assert.deepEqual(await found(query), [], query);
        }
        await fails(instance.call('GET', '/emails?domain_id=x', { key }), 422, 'invalid_parameter');
        await fails(instance.call('GET', '/emails?status=nonsense', { key }), 422, 'invalid_parameter');
        await fails(instance.call('GET', '/emails?created_after=soon', { key }), 422, 'invalid_parameter');
      });

      await t.test('replays by idempotency key', async () => {
        const headers = { 'Idempotency-Key': 'order-1' };
        const first = await send(good, { headers });
        const second = await send(`{ "text":"Hello",  "subject":"Hi","to":["delivered@opensend.test"],"from":"Ada <ada@example.dev>"}`, { headers });
        assert.equal(second.status, 200);
        assert.equal(second.text, first.text);
        assert.equal(second.headers.get('idempotency-replayed'), 'true');
        await fails(send({ ...good, subject: 'Other' }, { headers }), 409, 'invalid_idempotent_request');
        await fails(send(good, { headers: { 'Idempotency-Key': 'x'.repeat(257) } }), 400, 'invalid_idempotency_key');
        await fails(send({ ...good, to: [] }, { headers: { 'Idempotency-Key': 'fresh' } }), 422, 'validation_error');
        assert.equal((await send(good, { headers: { 'Idempotency-Key': 'fresh' } })).status, 200);
        const before = await count();
        const racing = await Promise.all(Array.from({ length: 64 }, () => send(good, { headers: { 'Idempotency-Key': 'race' } })));
        const ids = new Set(racing.map((answer) => { assert.equal(answer.status, 200, answer.text); return answer.body.id; }));
        assert.equal(ids.size, 1);
        assert.equal(await count(), before + 1);
        const made = await instance.call('POST', '/api-keys', { key, body: { name: 'once' }, headers: { 'Idempotency-Key': 'k' } });
        const again = await instance.call('POST', '/api-keys', { key, body: { name: 'once' }, headers: { 'Idempotency-Key': 'k' } });
        assert.equal(made.status, 201);
        assert.equal(again.text, made.text);
      });

      await t.test('walks a list while it grows', async () => {
        const seen = [];
        let after = '';
        for (let i = 0; i < 30; i += 1) await send(good);
        for (;;) {
          const page = (await instance.call('GET', `/emails?limit=7${after}`, { key })).body;
          seen.push(...page.data.map((email) => email.id));
          await send(good);
          if (!page.has_more) break;
          after = `&after=${page.data.at(-1).id}`;
        }
        assert.equal(new Set(seen).size, seen.length);
        assert.deepEqual(seen, [...seen].sort().reverse());
        const newer = (await instance.call('GET', `/emails?limit=3&before=${seen[10]}`, { key })).body;
        assert.deepEqual(newer.data.map((email) => email.id), seen.slice(7, 10));
        assert.equal(newer.has_more, true);
      });

      await t.test('makes keys, domains and webhooks and forgets them', async () => {
        const made = await instance.call('POST', '/api-keys', { key, body: { name: ' ci ', permission: 'sending_access', allowed_ips: ['127.0.0.0/8'] } });
        assert.equal(made.status, 201, made.text);
        assert.match(made.body.token, /^os_[0-9A-Za-z]{50}$/);
        assert.equal(made.body.name, 'ci');
        assert.equal((await instance.call('POST', '/emails', { key: made.body.token, body: good })).status, 200);
        const shown = await instance.call('GET', `/api-keys/${made.body.id}`, { key });
        assert.equal(shown.body.token, undefined);
        assert.deepEqual((await instance.call('DELETE', `/api-keys/${made.body.id}`, { key })).body, { object: 'api_key', id: made.body.id, deleted: true });
        await fails(instance.call('POST', '/emails', { key: made.body.token, body: good }), 403, 'invalid_api_key');
        await fails(instance.call('DELETE', `/api-keys/${made.body.id}`, { key }), 404, 'not_found', 'api_key_not_found');

        const domain = await instance.call('POST', '/domains', { key, body: { name: 'Bücher.example', capabilities: [{ name: 'receiving', enabled: true }] } });
        assert.equal(domain.status, 201, domain.text);
        assert.equal(domain.body.name, 'xn--bcher-kva.example');
        assert.equal(domain.body.unicode_name, 'bücher.example');
        assert.equal(domain.body.status, 'not_started');
        assert.deepEqual(domain.body.capabilities, { sending: 'enabled', receiving: 'enabled' });
        await fails(instance.call('POST', '/domains', { key, body: { name: 'bücher.example.' } }), 409, 'conflict', 'domain_already_exists');
        await fails(instance.call('POST', '/domains', { key, body: { name: 'co.uk' } }), 422, 'validation_error');
        await fails(instance.call('POST', '/domains', { key, body: { name: 'a.dev', region: 'moon' } }), 422, 'invalid_region');
        await fails(send({ ...good, from: 'a@bücher.example' }), 403, 'validation_error', 'domain_not_verified');
        const restricted = await instance.call('POST', '/api-keys', { key, body: { name: 'r', domain_id: domain.body.id } });
        await fails(instance.call('POST', '/emails', { key: restricted.body.token, body: good }), 403, 'validation_error', 'api_key_domain_restricted');
        await fails(instance.call('POST', '/api-keys', { key: restricted.body.token, body: { name: 'wide' } }), 403, 'forbidden', 'scope_escalation');
        await fails(instance.call('POST', '/api-keys', { key, body: { name: 'x', domain_id: '019cadd4-cbcb-7f91-8540-60d7d17dd01c' } }), 422, 'validation_error', 'unknown_id');

        await fails(instance.call('POST', '/webhooks', { key, body: { endpoint: 'http://127.0.0.1:9/x', events: ['email.sent'] } }), 422, 'validation_error', 'unsafe_url');
        await fails(instance.call('POST', '/webhooks', { key, body: { endpoint: 'https://h.example.com/x', events: ['inbox.created'] } }), 422, 'validation_error');
        await fails(instance.call('POST', '/webhooks', { key, body: { endpoint: 'https://h.example.com/x', events: [] } }), 422, 'validation_error');
        const hook = await instance.call('POST', '/webhooks', { key, body: { endpoint: 'https://93.184.216.34/x', events: ['email.delayed', 'email.delayed', '*'] } });
        assert.equal(hook.status, 201, hook.text);
        assert.deepEqual(hook.body.events, ['email.delivery_delayed', '*']);
        assert.match(hook.body.signing_secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
        assert.equal((await instance.call('GET', `/webhooks/${hook.body.id}`, { key })).body.signing_secret, hook.body.signing_secret);
        assert.equal((await instance.call('GET', `/webhooks/${hook.body.id}`, { key: reading })).body.signing_secret, null);
        const listed = (await instance.call('GET', '/webhooks', { key })).body.data[0];
        assert.equal(listed.signing_secret, undefined);
        assert.equal((await instance.call('DELETE', `/webhooks/${hook.body.id}`, { key })).body.deleted, true);
        await fails(instance.call('GET', `/webhooks/${hook.body.id}`, { key }), 404, 'not_found', 'webhook_not_found');
      });

      await t.test('keeps organizations apart', async () => {
        const other = instance.run('orgs', 'create', '--name', 'other').trim();
        const foreign = instance.key('--org', other);
        const mine = (await send(good)).body.id;
        const domain = (await instance.call('GET', '/domains', { key })).body.data[0].id;
        const apiKey = (await instance.call('GET', '/api-keys', { key })).body.data[0].id;
        const hook = (await instance.call('POST', '/webhooks', { key, body: { endpoint: 'https://93.184.216.34/y', events: ['*'] } })).body.id;
        const random = '019cadd4-cbcb-7f91-8540-60d7d17dd01c';
        const without = (text) => text.replace(/req_[0-9A-Za-z]{22}/g, '');
        for (const [method, route, id] of [['GET', 'emails', mine], ['GET', 'domains', domain], ['GET', 'api-keys', apiKey],
          ['DELETE', 'api-keys', apiKey], ['GET', 'webhooks', hook], ['DELETE', 'webhooks', hook]]) {
          const theirs = await instance.call(method, `/${route}/${id}`, { key: foreign });
          const missing = await instance.call(method, `/${route}/${random}`, { key: foreign });
          assert.equal(theirs.status, 404, `${method} ${route}`);
          assert.equal(without(theirs.text), without(missing.text));
        }
        for (const route of ['emails', 'domains', 'webhooks']) {
          assert.equal((await instance.call('GET', `/${route}`, { key: foreign })).body.data.length, 0, route);
        }
        await fails(instance.call('POST', '/emails', { key: foreign, body: good }), 403, 'validation_error', 'domain_not_found');
        await fails(instance.call('POST', '/domains', { key: foreign, body: { name: 'example.dev' } }), 403, 'validation_error', 'domain_claim_required');
        assert.equal((await instance.call('POST', '/domains', { key: foreign, body: { name: 'bücher.example' } })).status, 201);
        const headers = { 'Idempotency-Key': 'order-1' };
        const simulated = { ...good, from: 'a@resend.dev' };
        assert.equal((await instance.call('POST', '/emails', { key: foreign, body: simulated, headers })).status, 200);
      });
    } finally {
      await instance.destroy();
    }
  });
}
