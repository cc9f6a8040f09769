// Calls every route of the table with one tenant's key and another tenant's ids, and demands the
// answer that a missing id gets. On PostgreSQL once more with the tenant left out of every statement.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import test from 'node:test';
import { unwatch } from './openapi.mjs';
import { Instance, until, webhookReceiver } from './support.mjs';

const mail = (tenant, more = {}) => ({
  from: `a@${tenant}.example`, to: ['delivered@resend.dev'], subject: `of ${tenant}`, text: `words of ${tenant}`, ...more });

/** An id of the same millisecond that nobody has. */
function missingLike(id) {
  if (id.includes('@')) return `nobody-${crypto.randomBytes(4).toString('hex')}@elsewhere.example`;
  if (id.startsWith('msg_')) return `${id.slice(0, 14)}${crypto.randomBytes(6).toString('hex')}`.slice(0, 26);
  const tail = crypto.randomBytes(9).toString('hex');
  return `${id.slice(0, 15)}${tail.slice(0, 3)}-8${tail.slice(3, 6)}-${tail.slice(6)}`;
}

function sql(instance, text) {
  const url = instance.databaseUrl;
  if (url.startsWith('sqlite:')) execFileSync('sqlite3', ['-cmd', '.timeout 20000', url.slice('sqlite:'.length), text]);
  else execFileSync('psql', ['-qv', 'ON_ERROR_STOP=1', url, '-c', text]);
}

/** A row as the ingester leaves it. */
function receive(instance, org, tenant) {
  const [email, part] = [crypto.randomUUID(), crypto.randomUUID()].map((id) => `019cadd4-cbcb-7${id.slice(15)}`);
  sql(instance, `INSERT INTO received_emails (id, org_id, created_at, message_id, from_text, from_key, addresses, subject, in_reply_to,
      reference_ids, headers, text, size, content_hash, spam, dmarc_fail, defects, provider, provider_event_id, reply_match_status)
      VALUES ('${email}', '${org}', 1772000000000000, '<${tenant}@in.example>', 'x@in.example', 'x@in.example',
      '{"to":["r@${tenant}.example"],"cc":[],"bcc":[],"reply_to":[]}', 'in of ${tenant}', '', '[]', '[]', 'in', 2, 'h', 0, 0, '[]', 'test', '${email}', 'unmatched');
    INSERT INTO received_attachments (id, org_id, received_id, filename, content_type, content_id, disposition, size, blob_key)
      VALUES ('${part}', '${org}', '${email}', '${tenant}.txt', 'text/plain', '', 'attachment', 2, 'k')`);
  return { email, part };
}

/** One of everything that a tenant can have. */
async function furnish(instance, tenant, receiver, holder) {
  const org = instance.run('orgs', 'create', '--name', tenant).trim();
  const key = instance.key('--org', tenant);
  instance.run('domains', 'add', `${tenant}.example`, '--org', tenant, '--i-own-this-domain');
  const ask = async (method, route, body, headers) => {
    const answer = await instance.call(method, route, { key, body, headers });
    assert.ok(answer.status < 300, `${method} ${route}: ${answer.text}`);
    return answer.body;
  };
  const attachments = [{ filename: `${tenant}.txt`, content: 'YQ==' }];
  const webhook = (await ask('POST', '/webhooks', { endpoint: receiver.url, events: ['email.sent', 'email.delivered'] })).id;
  const sent = (await ask('POST', '/emails', mail(tenant, { attachments }), { 'Idempotency-Key': 'guess' })).id;
  const scheduled = (await ask('POST', '/emails', mail(tenant, { attachments, scheduled_at: 'in 1 hour' }))).id;
  const apiKey = (await ask('POST', '/api-keys', { name: `key of ${tenant}` })).id;
  const claim = await ask('POST', '/domains/claim', { name: holder });
  const pending = (await ask('POST', '/domains', { name: `pending.${tenant}.example` })).id;
  const suppression = (await ask('POST', '/suppressions', { email: `hidden@${tenant}.example` })).id;
  const verified = (await ask('GET', '/domains')).data.find((each) => each.name === `${tenant}.example`).id;
  const [attachment] = (await ask('GET', `/emails/${sent}/attachments`)).data;
  const delivery = await until('the webhook is delivered', async () => {
    const { data } = await ask('GET', `/webhooks/${webhook}/deliveries`);
    return data.length >= 2 && data[0];
  });
  const [event] = (await ask('GET', `/webhooks/${webhook}/events`)).data;
  const log = await until('a log row', async () => (await ask('GET', '/logs')).data[0]);
  const received = receive(instance, org, tenant);
  return {
    tenant, org, key, address: `hidden@${tenant}.example`, emails: [sent, scheduled], attachments: [attachment.id], domains: [verified, pending, claim.domain_id],
    apiKeys: [apiKey], webhooks: [webhook], events: [event.id], deliveries: [delivery.id],
    suppressions: [suppression, `hidden@${tenant}.example`], logs: [log.id], received: [received.email], parts: [received.part],
    link: new URL(attachment.download_url) };
}

/** Whose ids stand for the parameters of a path; a new route with an id has to be named here. */
const kinds = [
  [/^\/emails\/receiving\/\{/, ['received', 'parts']],
  [/^\/emails\/\{/, ['emails', 'attachments']],
  [/^\/domains\/\{/, ['domains']],
  [/^\/api-keys\/\{/, ['apiKeys']],
  [/^\/webhooks\/\{[^}]*\}\/deliveries/, ['webhooks', 'deliveries']],
  [/^\/webhooks\/\{/, ['webhooks', 'events']],
  [/^\/suppressions\/\{/, ['suppressions']],
  [/^\/logs\/\{/, ['logs']],
];
const bodies = {
  'PATCH /emails/{id}': { scheduled_at: 'in 3 hours' },
  'PATCH /domains/{id}': { open_tracking: true },
  'PATCH /api-keys/{id}': { name: 'taken' },
  'POST /api-keys/{id}/rotate': { grace_period_seconds: 0 },
  'PATCH /webhooks/{id}': { status: 'disabled' },
  'POST /webhooks/{id}/replay': { since: '2026-01-01T00:00:00Z' },
};

async function routesOf(instance) {
  const { paths } = (await instance.call('GET', '/openapi.json')).body;
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.keys(item).filter((name) => ['get', 'post', 'put', 'patch', 'delete'].includes(name))
      .map((name) => ({ method: name.toUpperCase(), path, scope: item[name]['x-opensend-scope'] })));
}

/** What a caller can tell apart: status, body and the headers that say something of the object. */
function visible(answer, ids) {
  let text = answer.text.replace(/req_[0-9A-Za-z]+/g, 'req');
  for (const id of ids) text = text.replaceAll(id, 'ID');
  const headers = [...answer.headers].filter(([name]) =>
    !/^(date|x-request-id|traceparent|x-correlation-id|ratelimit-|content-length|etag|set-cookie|connection|keep-alive)/.test(name));
  return { status: answer.status, text, headers };
}

/** Every way to put foreign ids into a path, beside the same path with ids of nobody. */
function pathsOf(path, owner, caller) {
  const found = kinds.find(([pattern]) => pattern.test(path));
  assert.ok(found, `the suite knows no ids for ${path}`);
  const [outer, inner] = found[1];
  const count = path.match(/\{/g).length;
  assert.ok(count <= found[1].length, path);
  const fill = (...ids) => ids.reduce((text, id) => text.replace(/\{[^}]*\}/, encodeURIComponent(id)), path);
  if (count === 1) {
    return owner[outer].map((id) => [[id], [missingLike(id)]]).map(([foreign, missing]) => ({ foreign: fill(...foreign), missing: fill(...missing), ids: [...foreign, ...missing] }));
  }
  const child = owner[inner][0];
  const gone = missingLike(child);
  const cases = owner[outer].map((id) => [[id, child], [missingLike(id), child]]);
  cases.push([[caller[outer][0], child], [caller[outer][0], gone]]);
  cases.push([[owner[outer][0], caller[inner][0]], [missingLike(owner[outer][0]), caller[inner][0]]]);
  return cases.map(([foreign, missing]) => ({ foreign: fill(...foreign), missing: fill(...missing), ids: [...foreign, ...missing] }));
}

/** Everything of a tenant that it can read, without what its own reading changes. */
async function inventory(instance, owner) {
  const texts = [];
  for (const route of [...owner.emails.flatMap((id) => [`/emails/${id}`, `/emails/${id}/events`]), ...owner.domains.map((id) => `/domains/${id}`),
    `/domains/${owner.domains[2]}/claim`, '/webhooks', `/webhooks/${owner.webhooks[0]}`, `/webhooks/${owner.webhooks[0]}/deliveries`,
    '/suppressions', '/emails', '/domains', '/api-keys', `/emails/receiving/${owner.received[0]}`]) {
    const answer = await instance.call('GET', route, { key: owner.key });
    assert.equal(answer.status, 200, `${route}: ${answer.text}`);
    texts.push(answer.text.replace(/"(last_used_at|download_url|expires_at|last_checked_at|next_check_at)":("[^"]*"|null)/g, ''));
  }
  return texts;
}

/** The differences that a caller sees; empty when tenants are strangers. */
async function leaks(instance, owner, caller) {
  const found = [];
  const tell = (what, answer) => found.push(`${what}: ${answer.status} ${answer.text.slice(0, 300)}`);
  const secret = [owner.org, owner.tenant, owner.address, ...[owner.emails, owner.attachments, owner.domains, owner.apiKeys, owner.webhooks, owner.events,
    owner.deliveries, owner.suppressions, owner.logs, owner.received, owner.parts].flat()];
  const ask = (method, path, body) => instance.call(method, path, { key: caller.key, body });
  const same = async (what, method, one, other, ids, [body, otherBody] = []) => {
    const foreign = await ask(method, one, body);
    const missing = await ask(method, other, otherBody ?? body);
    try { assert.deepEqual(visible(foreign, ids), visible(missing, ids)); } catch { tell(what, foreign); }
  };

  for (const { method, path, scope } of await routesOf(instance)) {
    if (scope === 'public') continue;
    if (path.includes('{')) {
      const body = bodies[`${method} ${path}`];
      for (const { foreign, missing, ids } of pathsOf(path, owner, caller)) {
        await same(`${method} ${foreign}`, method, foreign, missing, ids, [body]);
      }
      continue;
    }
    if (method !== 'GET') continue;
    const answer = await ask('GET', path);
    const told = answer.text.replace(/"endpoint":"[^"]*"/g, '');  // a request log repeats what its own caller asked
    if (answer.status !== 200 || secret.some((each) => told.includes(each))) tell(`GET ${path}`, answer);
    for (const cursor of [owner.emails[0], owner.webhooks[0], owner.domains[0]]) {
      const gone = missingLike(cursor);
      for (const way of ['after', 'before']) {
        await same(`GET ${path}?${way}`, 'GET', `${path}?${way}=${cursor}`, `${path}?${way}=${gone}`, [cursor, gone]);
      }
    }
    for (const [filter, id] of [['domain_id', owner.domains[0]], ['api_key_id', owner.apiKeys[0]], ['email_id', owner.emails[0]]]) {
      const gone = missingLike(id);
      await same(`GET ${path}?${filter}`, 'GET', `${path}?${filter}=${id}`, `${path}?${filter}=${gone}`, [id, gone]);
    }
  }

  const bodyCases = [
    ['POST', '/api-keys', (domain_id) => ({ name: 'narrow', domain_id }), owner.domains[0]],
    ['POST', '/suppressions/batch/remove', (id) => ({ ids: [id] }), owner.suppressions[0]],
    ['POST', '/suppressions/batch/remove', (email) => ({ emails: [email] }), owner.address],
    ['POST', '/emails', (topic_id) => mail(caller.tenant, { topic_id }), owner.emails[0]],
    ['POST', '/emails', (id) => mail(caller.tenant, { text: undefined, template: { id } }), owner.emails[0]],
  ];
  for (const [method, path, body, id] of bodyCases) {
    const gone = missingLike(id);
    await same(`${method} ${path} with ${JSON.stringify(body(id))}`, method, path, path, [id, gone], [body(id), body(gone)]);
  }

  const guessed = await instance.call('POST', '/emails', { key: caller.key, headers: { 'Idempotency-Key': 'guess' }, body: mail(caller.tenant) });
  if (guessed.headers.get('idempotency-replayed') || owner.emails.includes(guessed.body.id)) tell('an idempotency key', guessed);
  const borrowed = await instance.call('POST', '/emails', { key: caller.key, body: mail(owner.tenant) });
  if (borrowed.status !== 403) tell('a sender address', borrowed);
  const strange = await instance.call('POST', '/emails', { key: caller.key, body: mail('nobody') });
  const told = visible(borrowed, []).text.replaceAll(`${owner.tenant}.example`, 'D');
  if (told !== visible(strange, []).text.replaceAll('nobody.example', 'D')) tell('whose domain it is', borrowed);
  return found;
}

async function tenantsOn(database, env, check) {
  const instance = await new Instance({ database, env: { ALLOW_PRIVATE_WEBHOOK_URLS: 'true' } }).prepare();
  const receiver = await webhookReceiver();
  await instance.start();
  try {
    instance.run('orgs', 'create', '--name', 'holder');
    for (const name of ['held.example', 'kept.example']) instance.run('domains', 'add', name, '--org', 'holder', '--i-own-this-domain');
    const owner = await furnish(instance, 'harbour', receiver, 'held.example');
    const caller = await furnish(instance, 'meadow', receiver, 'kept.example');
    if (Object.keys(env).length > 0) {
      await instance.stop();
      await instance.start(env);
      // A server without its predicates keeps no other promise either.
      unwatch(instance.base);
      instance.watcher = null;
    }
    await check(instance, owner, caller);
  } finally {
    receiver.stop();
    await instance.destroy();
  }
}

for (const database of ['sqlite', 'postgres']) {
  test(`no route tells one tenant of another (${database})`, () =>
    tenantsOn(database, {}, async (instance, owner, caller) => {
      const before = await inventory(instance, owner);
      assert.deepEqual(await leaks(instance, owner, caller), []);
      assert.deepEqual(await inventory(instance, owner), before, 'the other tenant has what it had');
    }));
}

const forgetful = { OPENSEND_FAULT: 'no_tenant_predicates' };

test('row security holds where every statement forgets the tenant (postgres)', () =>
  tenantsOn('postgres', forgetful, async (instance, owner, caller) => {
    assert.deepEqual(await leaks(instance, owner, caller), []);
  }));

test('without row security the suite finds the leaks (sqlite)', () =>
  tenantsOn('sqlite', forgetful, async (instance, owner, caller) => {
    const found = await leaks(instance, owner, caller);
    for (const path of ['/emails/', '/domains/', '/webhooks/', '/suppressions/', '/api-keys/', '/logs/', '/emails/receiving/']) {
      assert.ok(found.some((each) => each.includes(` ${path}`)), `a leak of ${path} is seen:\n${found.join('\n')}`);
    }
  }));
