// Every method of the official client against a running server: what its types promise is in the
// answers of the routes that exist, and the others say "not found" in the client's own words.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { Resend } from 'resend';
import { Webhook } from 'svix';
import { NameServer } from './dns.mjs';
import { Instance, until, webhookReceiver } from './support.mjs';

/** Methods whose routes come later; they answer, and the client hands the answer on. */
const later = /^(segments|audiences|automations|broadcasts|contactProperties|contacts|events|inboxes|oauthGrants|templates|topics|usage)\.|^emails\.(share|metrics)$/;
/** Parts of the client that call no route by themselves. */
const local = /^(logError|fetchRequest|post|get|put|patch|delete)$|\.(forwardPassthrough|forwardWrapped|downloadRaw|performCreate|buildCreateFormData|buildColumnMap|appendField)$/;

/** "emails.send" … of everything that can be called. */
function methodsOf(client) {
  const names = [];
  const seen = new Set();
  const walk = (object, prefix) => {
    if (seen.has(object)) return;
    seen.add(object);
    for (let level = object; level && level !== Object.prototype; level = Object.getPrototypeOf(level)) {
      for (const name of Object.getOwnPropertyNames(level)) {
        if (name === 'constructor' || name === 'resend') continue;
        const value = object[name];
        if (typeof value === 'function') names.push(prefix + name);
        else if (value && typeof value === 'object' && value.constructor !== Object && name !== 'headers') walk(value, `${prefix}${name}.`);
      }
    }
  };
  walk(client, '');
  return [...new Set(names)].filter((name) => !local.test(name)).sort();
}

const has = (object, fields, what) => {
  for (const field of fields.split(' ')) assert.ok(Object.hasOwn(object, field), `${what} has ${field}: ${JSON.stringify(object)}`);
};
const listFields = 'object has_more data';

/** A received message as the ingester leaves it: rows, and files below the blob folder. */
function receive(instance, org) {
  const put = (bytes) => {
    const name = crypto.createHash('sha256').update(bytes).digest('hex');
    const folder = path.join(instance.folder, 'data/blobs', name.slice(0, 2));
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    fs.writeFileSync(path.join(folder, name), bytes, { mode: 0o600 });
    return name;
  };
  const raw = put(['From: Bob <bob@example.net>', 'To: support@acme.example', 'Subject: Hello', 'Message-ID: <b1@example.net>', 'MIME-Version: 1.0',
    'Content-Type: multipart/mixed; boundary=b', '', '--b', 'Content-Type: text/plain', '', 'Hi there', '--b',
    'Content-Type: text/csv; name=a.csv', 'Content-Disposition: attachment; filename=a.csv', '', '1,2', '--b--', ''].join('\r\n'));
  const part = put('1,2');
  const [email, attachment] = [crypto.randomUUID(), crypto.randomUUID()].map((id) => `019cadd4-cbcb-7${id.slice(15)}`);
  const text = `INSERT INTO received_emails (id, org_id, created_at, message_id, from_text, from_key, addresses, subject, in_reply_to,
      reference_ids, headers, text, raw_blob_key, size, content_hash, spam, dmarc_fail, defects, provider, provider_event_id, reply_match_status)
      VALUES ('${email}', '${org}', 1772000000000000, '<b1@example.net>', 'Bob <bob@example.net>', 'bob@example.net',
      '{"to":["support@acme.example"],"cc":[],"bcc":[],"reply_to":[]}', 'Hello', '', '[]', '[{"name":"From","value":"Bob <bob@example.net>"}]', 'Hi there', '${raw}', 300, 'h', 0, 0, '[]', 'test', '${email}', 'unmatched');
    INSERT INTO received_attachments (id, org_id, received_id, filename, content_type, content_id, disposition, size, blob_key)
      VALUES ('${attachment}', '${org}', '${email}', 'a.csv', 'text/csv', '', 'attachment', 3, '${part}')`;
  const url = instance.databaseUrl;
  if (url.startsWith('sqlite:')) execFileSync('sqlite3', ['-cmd', '.timeout 20000', url.slice('sqlite:'.length), text]);
  else execFileSync('psql', ['-qv', 'ON_ERROR_STOP=1', url, '-c', text]);
  return { email, attachment };
}

async function start(database) {
  const dns = await new NameServer().start();
  const instance = await new Instance({ database, env: { ALLOW_PRIVATE_WEBHOOK_URLS: 'true', OPENSEND_DNS__SERVERS: dns.address, OPENSEND_TRANSPORT_URL: 'capture:///' } }).prepare();
  const org = instance.run('orgs', 'create', '--name', 'acme').trim();
  instance.run('domains', 'add', 'acme.example', '--org', 'acme', '--i-own-this-domain');
  instance.run('orgs', 'create', '--name', 'holder');
  instance.run('domains', 'add', 'held.example', '--org', 'holder', '--i-own-this-domain');
  const key = instance.key('--org', 'acme');
  await instance.start();
  const resend = new Resend(key, { baseUrl: instance.base });
  const called = new Set();
  /** Calls a method and returns its data; every answer brings the headers of the limiter. */
  const call = async (name, fields, ...given) => {
    called.add(name);
    const steps = name.split('.');
    const method = steps.pop();
    const owner = steps.reduce((object, step) => object[step], resend);
    const { data, error, headers } = await owner[method](...given);
    assert.equal(error, null, `${name}: ${JSON.stringify(error)}`);
    assert.match(headers['ratelimit-limit'] ?? '', /^\d+$/, name);
    has(data, fields, name);
    return data;
  };
  return { dns, instance, org, resend, call, called, destroy: async () => { await instance.destroy(); dns.stop(); } };
}

const mail = { from: 'Acme <hi@acme.example>', to: ['delivered@resend.dev'], subject: 'Hi', html: '<p>Hi</p>', text: 'Hi' };
const emailFields = 'message_id from to cc bcc reply_to subject last_event created_at scheduled_at topic_id';

async function emails({ call }) {
  const sent = await call('emails.send', 'id', {
    ...mail, cc: 'cc@example.net', bcc: ['bcc@example.net'], replyTo: 'r@example.net', headers: { 'X-Entity-Ref-ID': '1' },
    tags: [{ name: 'kind', value: 'test' }], attachments: [{ filename: 'a.txt', content: Buffer.from('hello'), contentType: 'text/plain' }],
  }, { idempotencyKey: 'sdk-1' });
  const again = await call('emails.create', 'id', mail);
  assert.notEqual(again.id, sent.id);
  const got = await call('emails.get', `object id ${emailFields} html text tags`, sent.id);
  assert.deepEqual([got.object, got.cc, got.reply_to, got.tags], ['email', ['cc@example.net'], ['r@example.net'], [{ name: 'kind', value: 'test' }]]);
  const list = await call('emails.list', listFields, { limit: 1 });
  has(list.data[0], `id ${emailFields}`, 'a list item');
  assert.deepEqual([list.data[0].id, list.has_more], [again.id, true]);
  const scheduled = await call('emails.send', 'id', { ...mail, scheduledAt: 'in 1 hour' });
  await call('emails.update', 'object id', { id: scheduled.id, scheduledAt: new Date(Date.now() + 7200e3).toISOString() });
  await call('emails.cancel', 'object id', scheduled.id);
  assert.equal((await call('emails.get', 'last_event', scheduled.id)).last_event, 'canceled');
  const parts = await call('emails.attachments.list', listFields, { emailId: sent.id });
  const partFields = 'id filename size content_type content_disposition content_id download_url expires_at';
  has(parts.data[0], partFields, 'an attachment');
  const part = await call('emails.attachments.get', `object ${partFields}`, { emailId: sent.id, id: parts.data[0].id });
  assert.equal(await (await fetch(part.download_url.replace(/^http:\/\/localhost/, 'http://127.0.0.1'))).text(), 'hello');
  for (const name of ['batch.send', 'batch.create']) {
    const { data } = await call(name, 'data', [mail, { ...mail, subject: 'Two' }]);
    assert.equal(data.length, 2);
  }
  const mixed = await call('batch.send', 'data errors', [mail, { ...mail, to: 'nobody' }], { batchValidation: 'permissive' });
  assert.deepEqual([mixed.data.length, mixed.errors.length, mixed.errors[0].index], [1, 1, 1]);
  return sent.id;
}

async function receiving({ call, instance, org }) {
  const row = receive(instance, org);
  const list = await call('emails.receiving.list', listFields);
  has(list.data[0], 'id to from cc bcc reply_to received_for subject message_id created_at attachments', 'a received message');
  const got = await call('emails.receiving.get', 'object html text headers raw id to from', row.email);
  has(got.raw, 'download_url expires_at', 'raw');
  const parts = await call('emails.receiving.attachments.list', listFields, { emailId: row.email });
  assert.equal(parts.data[0].filename, 'a.csv');
  await call('emails.receiving.attachments.get', 'object id filename size content_type content_disposition content_id download_url expires_at',
    { emailId: row.email, id: row.attachment });
  const forwarded = await call('emails.receiving.forward', 'id', { emailId: row.email, to: 'delivered@resend.dev', from: 'hi@acme.example' });
  const copy = await call('emails.get', 'text subject', forwarded.id);
  assert.deepEqual([copy.subject, copy.text.trim()], ['Hello', 'Hi there']);
  assert.equal((await call('emails.attachments.list', listFields, { emailId: forwarded.id })).data[0].filename, 'a.csv');
}

async function domains({ call, dns }) {
  const fields = 'name status created_at region capabilities open_tracking click_tracking tracking_subdomain records';
  const made = await call('domains.create', `id ${fields}`, { name: 'new.example', region: 'us-east-1', customReturnPath: 'bounce' });
  has(made.records[0], 'record name type ttl status value', 'a record');
  assert.ok(made.records.every((each) => each.type !== 'MX' || each.priority !== undefined));
  for (const { name, type, value, priority } of made.records) dns.publish(name.endsWith('new.example') ? name : `${name}.new.example`, type, value, priority);
  const list = await call('domains.list', listFields, { limit: 10 });
  has(list.data[0], 'id name status created_at region capabilities', 'a domain of the list');
  await call('domains.verify', 'object id', made.id);
  await until('the domain is verified', async () => (await call('domains.get', `object id ${fields}`, made.id)).status === 'verified');
  await call('domains.update', 'object id', { id: made.id, tls: 'enforced', openTracking: false, clickTracking: false });
  const claimFields = 'object id name status domain_id region record blocked_reason failure_reason created_at expires_at';
  const claim = await call('domains.claims.create', claimFields, { name: 'held.example' });
  has(claim.record, 'type name value ttl', 'the record of a claim');
  assert.equal((await call('domains.claims.get', claimFields, claim.domain_id)).id, claim.id);
  dns.publish('held.example', 'TXT', claim.record.value);
  assert.equal((await call('domains.claims.verify', claimFields, claim.domain_id)).status, 'blocked');
  assert.equal((await call('domains.remove', 'object id deleted', made.id)).deleted, true);
}

async function apiKeys({ call, instance }) {
  const made = await call('apiKeys.create', 'id token', { name: 'Narrow', permission: 'sending_access' });
  assert.equal((await instance.call('POST', '/emails', { key: made.token, body: mail })).status, 200);
  const list = await call('apiKeys.list', listFields);
  has(list.data[0], 'id name created_at last_used_at', 'a key of the list');
  await call('apiKeys.update', 'object id', made.id, { name: 'Renamed' });
  assert.equal((await call('apiKeys.remove', 'object id deleted', made.id)).deleted, true);
}

async function webhooks({ call, called, resend }) {
  const receiver = await webhookReceiver();
  try {
    const made = await call('webhooks.create', 'object id signing_secret', { endpoint: receiver.url, events: ['email.delivered'] });
    const got = await call('webhooks.get', 'object id created_at status endpoint events signing_secret', made.id);
    assert.equal(got.signing_secret, made.signing_secret);
    const list = await call('webhooks.list', listFields);
    has(list.data[0], 'id endpoint created_at status events', 'a webhook of the list');
    await call('emails.send', 'id', mail);
    const request = await until('the webhook is called', () => receiver.requests[0]);
    const verified = resend.webhooks.verify({ payload: request.body, webhookSecret: made.signing_secret,
      headers: { id: request.headers['webhook-id'], timestamp: request.headers['webhook-timestamp'], signature: request.headers['webhook-signature'] } });
    called.add('webhooks.verify');
    has(verified, 'type created_at data', 'an event');
    new Webhook(made.signing_secret).verify(request.body, request.headers);
    const events = await until('the delivery is on record', async () => {
      const page = await call('webhooks.events.list', listFields, { webhookId: made.id, limit: 5 });
      return page.data[0]?.status === 'success' || page.data[0]?.status === 'delivered' ? page.data : null;
    });
    has(events[0], 'id type created_at status', 'an event of the list');
    const id = { webhookId: made.id, eventId: events[0].id };
    await call('webhooks.events.get', 'object id type created_at status next_attempt_at payload', id);
    await call('webhooks.events.replay', 'object id', id);
    await until('the event comes again', () => receiver.requests.length >= 2);
    const attempts = await call('webhooks.events.attempts.list', listFields, { ...id, limit: 5 });
    has(attempts.data[0], 'id http_status_code response sent_at', 'an attempt');
    const rotated = await call('webhooks.rotateSigningSecret', 'object id signing_secret', made.id);
    assert.notEqual(rotated.signing_secret, made.signing_secret);
    await call('webhooks.update', 'object id', made.id, { endpoint: receiver.url, events: ['email.sent'], status: 'disabled' });
    assert.equal((await call('webhooks.remove', 'object id deleted', made.id)).deleted, true);
  } finally {
    receiver.stop();
  }
}

async function suppressions({ call }) {
  const made = await call('suppressions.add', 'object id', { email: 'no@example.net' });
  const list = await call('suppressions.list', listFields, { origin: 'manual' });
  has(list.data[0], 'id email origin source_id created_at', 'a suppression of the list');
  for (const name of [made.id, 'no@example.net']) {
    const got = await call('suppressions.get', 'object id email origin source_id created_at', name);
    assert.equal(got.id, made.id);
  }
  assert.equal((await call('suppressions.remove', 'object id deleted', 'no@example.net')).deleted, true);
  const added = await call('suppressions.batch.add', 'data', { emails: ['a@example.net', 'b@example.net'] });
  has(added.data[0], 'object id', 'an added one');
  const removed = await call('suppressions.batch.remove', 'data', { ids: [added.data[0].id] });
  has(removed.data[0], 'object id deleted', 'a removed one');
  assert.equal((await call('suppressions.batch.remove', 'data', { emails: ['b@example.net'] })).data.length, 1);
}

async function logs({ call }) {
  const fields = 'id created_at endpoint method response_status user_agent';
  const bySdk = (each) => each.endpoint === '/emails' && each.method === 'POST' && each.user_agent.startsWith('resend-node:');
  const list = await until('requests are on record', async () => {
    const page = await call('logs.list', listFields, { limit: 100 });
    return page.data.some(bySdk) ? page : null;
  });
  has(list.data[0], fields, 'a log row');
  const sent = list.data.find(bySdk);
  const got = await call('logs.get', `object ${fields} request_body response_body`, sent.id);
  assert.equal(got.id, sent.id);
}

for (const database of ['sqlite', 'postgres']) {
  test(`every method of the official client (${database})`, async (t) => {
    const context = await start(database);
    try {
      for (const part of [emails, receiving, domains, apiKeys, webhooks, suppressions, logs]) await t.test(part.name, () => part(context));
      const rest = methodsOf(context.resend).filter((name) => !context.called.has(name));
      assert.deepEqual(rest.filter((name) => !later.test(name)), [], 'every method with a route was called');
      assert.ok(rest.length > 50);
      await t.test('what has no route yet answers like a missing object', async () => {
        const id = '019cadd4-cbcb-7f91-8540-60d7d17dd01c';
        const body = { id, emailId: id, name: 'a', key: 'a', email: 'a@example.net', contactId: id, segmentId: id, automationId: id, runId: id, inboxId: id, threadId: id, draftId: id,
          broadcastId: id, labelId: id, event: 'a', subject: 'a', from: 'a@acme.example', html: 'a', text: 'a', topics: [], labels: [], steps: [], connections: [], query: 'a', file: 'a,b' };
        for (const name of rest) {
          const steps = name.split('.');
          const method = steps.pop();
          const owner = steps.reduce((object, step) => object[step], context.resend);
          if (name === 'emails.metrics') body.emailId = body.broadcastId = [id];
          const given = /\.(send|update|recipients|share)$/.test(name) && /^(events\.update|segments\.update|templates\.update|broadcasts|automations\.update|inboxes\.update|emails\.share)/.test(name) ? [id, body] : [body];
          const { data, error } = await owner[method](...given.map((each) => (/^(inboxes|contacts)\.(get|remove)$/.test(name) ? id : each)));
          assert.equal(data, null, name);
          // "metrics" stands where an id does.
          const expected = name === 'emails.metrics' ? [422, 'invalid_parameter'] : [404, 'not_found'];
          assert.deepEqual([error.statusCode, error.name], expected, `${name}: ${JSON.stringify(error)}`);
        }
      });
    } finally {
      await context.destroy();
    }
  });
}
