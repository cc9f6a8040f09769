// The document of the API is a valid one, whole, and what other tests hold answers against.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import test from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Contract } from './openapi.mjs';
import { Instance } from './support.mjs';

const walk = (node, visit) => {
  if (node === null || typeof node !== 'object') return;
  visit(node);
  for (const each of Object.values(node)) walk(each, visit);
};

test('the document of the API', async (t) => {
  const instance = await new Instance().prepare();
  await instance.start();
  const answer = await instance.call('GET', '/openapi.json');
  const document = answer.body;
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })));
  try {
    await t.test('passes an independent validator', async () => {
      const result = await new Validator({ strict: false }).validate(structuredClone(document));
      assert.deepEqual(result.errors ?? [], []);
      assert.equal(result.valid, true);
      assert.equal(document.openapi, '3.1.0');
      assert.equal(document.servers[0].url, instance.env.OPENSEND_URL);
    });

    await t.test('names nothing that is missing, defines nothing that is not used', () => {
      const named = new Set();
      walk(document, (node) => { if (typeof node.$ref === 'string') named.add(node.$ref); });
      const defined = Object.entries(document.components).filter(([kind]) => kind !== 'securitySchemes')
        .flatMap(([kind, members]) => Object.keys(members).map((name) => `#/components/${kind}/${name}`));
      assert.deepEqual([...named].sort(), defined.sort());
    });

    await t.test('has schemas that compile and answers that are closed', () => {
      const contract = new Contract(document);
      const loose = [];
      const isClosed = (schema, seen = new Set()) => {
        const node = contract.resolve(schema);
        if (seen.has(node)) return true;
        seen.add(node);
        const inner = [node.items, ...(node.oneOf ?? []), ...(node.anyOf ?? []), ...Object.values(node.properties ?? {})].filter(Boolean);
        const open = node.properties && node.additionalProperties !== false && node.unevaluatedProperties !== false;
        return !open && inner.every((each) => isClosed(each, seen));
      };
      for (const { operation } of operations) {
        for (const [status, response] of Object.entries(operation.responses)) {
          const schema = contract.resolve(response).content?.['application/json']?.schema;
          if (!schema) continue;
          contract.faults(schema, null);
          if (Number(status) < 300 && !isClosed(schema)) loose.push(operation.operationId);
        }
        const body = operation.requestBody?.content['application/json'].schema;
        if (body) contract.faults(body, null);
      }
      assert.deepEqual(loose, ['service.openapi']);
    });

    await t.test('describes routes that answer', async () => {
      for (const { path, method, operation } of operations) {
        const response = await instance.call(method.toUpperCase(), path.replace(/\{\w+\}/g, '019cadd4-cbcb-7f91-8540-60d7d17dd01c'));
        assert.ok(response.status !== 405 && response.body?.code !== 'route_not_found', `${method} ${path}`);
        const isPublic = operation.security?.length === 0;
        assert.equal(response.status === 401, !isPublic, `${method} ${path}: ${response.status}`);
        assert.equal(operation['x-opensend-scope'] === 'public', isPublic);
      }
    });

    await t.test('says which keys reach a route', async () => {
      const key = instance.key();
      const keys = {};
      for (const permission of ['sending_access', 'read_access']) {
        keys[permission] = (await instance.call('POST', '/api-keys', { key, body: { name: permission, permission } })).body.token;
      }
      for (const { path, method, operation } of operations.filter((each) => each.operation['x-opensend-permissions'])) {
        for (const [permission, token] of Object.entries(keys)) {
          const at = path.replace(/\{\w+\}/g, '019cadd4-cbcb-7f91-8540-60d7d17dd01c');
          const response = await instance.call(method.toUpperCase(), at, { key: token, ...(method === 'get' ? {} : { body: '[0]' }) });
          const reaches = operation['x-opensend-permissions'].includes(permission);
          assert.equal(response.status !== 401, reaches, `${permission} ${method} ${path}: ${response.text}`);
        }
      }
    });

    await t.test('comes from memory with a tag, and once', async () => {
      const tag = answer.headers.get('etag');
      assert.match(tag, /^"[0-9a-f]{32}"$/);
      assert.equal(answer.headers.get('cache-control'), 'public, max-age=300');
      const ask = (value) => instance.call('GET', '/api/openapi.json', { headers: { 'If-None-Match': value } });
      for (const value of [tag, `W/${tag}`, `"other", ${tag}`, '*']) {
        const again = await ask(value);
        assert.equal(again.status, 304, value);
        assert.equal(again.text, '');
        assert.equal(again.headers.get('etag'), tag);
      }
      assert.equal((await ask('"other"')).text, answer.text);
      assert.equal((await ask('not a tag')).status, 200);
      const head = await instance.call('HEAD', '/openapi.json');
      assert.equal(head.status, 200);
      assert.equal(head.headers.get('content-length'), String(Buffer.byteLength(answer.text)));
    });
  } finally {
    await instance.destroy();
  }
});

test('what a server says beyond the document is noticed', async () => {
  const instance = await new Instance().prepare();
  await instance.start();
  try {
    const { contract } = instance.watcher;
    const id = '019cadd4-cbcb-7f91-8540-60d7d17dd01c';
    const exchange = (change) => ({
      method: 'POST', url: `${instance.base}/emails`, headers: new Headers({ 'Content-Type': 'application/json' }),
      sent: JSON.stringify({ from: 'a@example.dev', to: 'b@example.dev', subject: 'Hi', text: 'Hi' }), status: 200,
      answered: new Headers({ 'Content-Type': 'application/json' }), text: JSON.stringify({ id }), ...change });
    const notices = (change, what) => assert.throws(() => contract.check(exchange(change)), what);
    contract.check(exchange({}));
    contract.check(exchange({ url: `${instance.base}/api/emails/` }));
    notices({ text: JSON.stringify({ id, more: 1 }) }, /must NOT have additional properties/);
    notices({ text: '{}' }, /must have required property 'id'/);
    notices({ text: '' }, /has no body/);
    notices({ status: 201 }, /status 201 is not documented/);
    notices({ status: 404, text: JSON.stringify({ id }) }, /must have required property/);
    notices({ answered: new Headers({ 'Content-Type': 'text/html' }), text: '<p>' }, /text\/html is not documented/);
    notices({ url: `${instance.base}/nowhere` }, /must have required property/);
    notices({ sent: JSON.stringify({ from: 'a@example.dev', to: 5 }) }, /request: \/to/);
    notices({ sent: JSON.stringify({ to: 'b@example.dev', secretly: 1 }) }, /secretly was read and is not documented/);
    contract.check(exchange({
      sent: JSON.stringify({ to: 'b@example.dev', secretly: 1 }),
      answered: new Headers({ 'Content-Type': 'application/json', 'X-OpenSend-Ignored-Fields': 'secretly' }) }));
    notices({ method: 'GET', url: `${instance.base}/logs?status=maybe`, sent: undefined,
      text: '{"object":"list","has_more":false,"data":[]}' }, /parameter status/);
  } finally {
    await instance.destroy();
  }
});

test('received mail is what the document says', async () => {
  const instance = await new Instance({ database: 'postgres' }).prepare();
  const key = instance.key();
  const sql = (text) => execFileSync('psql', ['-q', '-t', '-A', '-v', 'ON_ERROR_STOP=1', instance.databaseUrl, '-c', text], { encoding: 'utf8' }).trim();
  const id = '019cadfe-a26c-793e-9fbf-354c3f29d55a';
  const file = '019cadfe-a26d-7d8e-8e2a-e489f4b9c78c';
  const org = sql('SELECT id FROM orgs LIMIT 1');
  // Nothing takes mail in yet: the rows are written as a listener would.
  sql(`INSERT INTO received_emails (id, org_id, created_at, message_id, from_text, from_key, addresses, subject, in_reply_to,
         reference_ids, headers, html, text, raw_blob_key, size, content_hash, spf, dkim, dmarc, spam, dmarc_fail, defects, provider,
         provider_event_id, reply_match_status, thread_id, reply_to_email_id)
       VALUES ('${id}', '${org}', 1772445672044000, '<b1@example.net>', 'Bob <bob@example.net>', 'bob@example.net',
         '{"to":["help@example.dev"],"cc":[],"bcc":[],"reply_to":[]}', 'Hello', '', '[]', '[{"name":"From","value":"Bob <bob@example.net>"}]',
         '<p>Hi</p>', 'Hi', 'raw', 2048, 'x', 'pass', 'pass', 'fail', 0, 1, '[]', 'smtp', 'e1', 'matched', '${id}', '${id}');
       INSERT INTO received_recipients (received_id, position, org_id, address, match_key, status, local_part, target_address, route_type, route_id)
       VALUES ('${id}', 0, '${org}', 'help@example.dev', 'help@example.dev', 'exact', 'help', 'help@example.dev', 'exact', '${file}'),
              ('${id}', 1, '${org}', 'who@example.dev', 'who@example.dev', 'unrouteable', 'who', NULL, NULL, NULL);
       INSERT INTO received_attachments (id, org_id, received_id, filename, content_type, content_id, disposition, size, blob_key)
       VALUES ('${file}', '${org}', '${id}', 'a.png', 'image/png', 'logo', 'inline', 10, 'a')`);
  await instance.start();
  try {
    const get = async (path) => {
      const answer = await instance.call('GET', `/emails/receiving${path}`, { key });
      assert.equal(answer.status, 200, answer.text);
      return answer.body;
    };
    assert.equal((await get('')).data[0].route_decisions.length, 2);
    assert.equal((await get(`/${id}`)).authentication.dmarc, 'fail');
    assert.equal((await get(`/${id}/attachments`)).data[0].id, file);
    assert.equal((await get(`/${id}/attachments/${file}`)).content_id, 'logo');
  } finally {
    await instance.destroy();
  }
});
