// Webhooks and the event log with clients nobody here wrote: the official client drives the routes,
// two independent verifiers read the signatures.
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import test from 'node:test';
import { Resend } from 'resend';
import { Webhook as Standard } from 'standardwebhooks';
import { Webhook as Svix } from 'svix';
import { Instance, sleep, until, webhookReceiver } from './support.mjs';

const kinds = ['sqlite', 'postgres'];
const local = { ALLOW_PRIVATE_WEBHOOK_URLS: 'true' };

const keysOf = (object) => Object.keys(object).sort();
const suppress = (instance, key, email) => instance.call('POST', '/suppressions', { key, body: { email } });
const actions = (instance) => instance.run('audit', 'export').trim().split('\n').map((line) => JSON.parse(line).action);

/** Three verifiers with one secret; throws when one refuses. */
function verify(resend, request, secret) {
  new Svix(secret).verify(request.body, request.headers);
  new Standard(secret).verify(request.body, request.headers);
  return resend.webhooks.verify({
    payload: request.body,
    headers: { id: request.headers['webhook-id'], timestamp: request.headers['webhook-timestamp'], signature: request.headers['webhook-signature'] },
    webhookSecret: secret,
  });
}

async function prepared(database, env = {}) {
  const instance = await new Instance({ database, env: { ...local, ...env } }).prepare();
  const key = instance.key();
  await instance.start();
  return { instance, key, resend: new Resend(key, { baseUrl: instance.base }) };
}

/** All entries of the log, page by page. */
async function readLog(instance, key, { limit = 100, types = '' } = {}) {
  const all = [];
  for (let after = 0; ;) {
    const page = await instance.call('GET', `/events/log?after=${after}&limit=${limit}${types}`, { key });
    assert.equal(page.status, 200, page.text);
    all.push(...page.body.data);
    after = page.body.next_after;
    if (!page.body.has_more) return { all, last: page.body };
  }
}

for (const database of kinds) {
  test(`an endpoint lives from creation to removal (${database})`, async () => {
    const { instance, key, resend } = await prepared(database);
    let answer = 200;
    const hooks = await webhookReceiver(() => answer);
    const other = await webhookReceiver();
    try {
      const made = await resend.webhooks.create({ endpoint: hooks.url, events: ['suppression.added', 'email.delayed', 'suppression.added'] });
      assert.equal(made.error, null);
      assert.equal(made.data.object, 'webhook');
      assert.match(made.data.signing_secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
      const id = made.data.id;
      await resend.webhooks.create({ endpoint: other.url, events: ['*'] });

      const read = (await resend.webhooks.get(id)).data;
      assert.deepEqual(keysOf(read), ['created_at', 'description', 'disabled_reason', 'endpoint', 'events', 'id', 'object',
        'previous_secret_expires_at', 'recent_deliveries', 'signing_secret', 'status', 'updated_at']);
      assert.deepEqual(read.events, ['suppression.added', 'email.delivery_delayed']);
      assert.equal(read.signing_secret, made.data.signing_secret);
      const narrow = instance.key('--scope', 'read_access');
      assert.equal((await instance.call('GET', `/webhooks/${id}`, { key: narrow })).body.signing_secret, null);
      assert.equal((await instance.call('POST', `/webhooks/${id}/test`, { key: narrow })).status, 401);
      const list = (await resend.webhooks.list()).data;
      assert.equal(list.data.length, 2);
      assert.deepEqual(keysOf(list.data[1]), ['created_at', 'description', 'disabled_reason', 'endpoint', 'events', 'id',
        'previous_secret_expires_at', 'status', 'updated_at']);

      // A test event goes to the one endpoint, subscribed or not, and no other.
      const tested = await instance.call('POST', `/webhooks/${id}/test`, { key });
      assert.equal(tested.status, 202);
      assert.deepEqual(keysOf(tested.body), ['id', 'object']);
      const first = await until('the test event', () => hooks.requests[0]);
      const envelope = verify(resend, first, made.data.signing_secret);
      assert.deepEqual(Object.keys(JSON.parse(first.body)), ['id', 'type', 'created_at', 'sequence', 'data']);
      assert.equal(envelope.type, 'webhook.test');
      assert.deepEqual(envelope.data, { webhook_id: id, message: 'Test event' });
      assert.equal(first.headers['webhook-id'], tested.body.id);
      assert.equal(first.headers['webhook-attempt'], '1');
      assert.equal(first.headers['user-agent'], 'OpenSend-Webhooks/1');
      for (const part of ['id', 'timestamp', 'signature']) assert.equal(first.headers[`webhook-${part}`], first.headers[`svix-${part}`]);

      // Rotation: both secrets verify, a second one ends the oldest.
      const second = (await resend.webhooks.rotateSigningSecret(id)).data;
      assert.deepEqual(keysOf(second), ['id', 'object', 'previous_secret_expires_at', 'signing_secret']);
      const hoursLeft = (Date.parse(second.previous_secret_expires_at) - Date.now()) / 3600e3;
      assert.ok(hoursLeft > 23.9 && hoursLeft <= 24);
      await suppress(instance, key, 'one@example.com');
      const both = await until('a second event', () => hooks.requests[1]);
      assert.equal(both.headers['webhook-signature'].split(' ').length, 2);
      verify(resend, both, second.signing_secret);
      verify(resend, both, made.data.signing_secret);
      const third = (await resend.webhooks.rotateSigningSecret(id)).data;
      await suppress(instance, key, 'two@example.com');
      const later = await until('a third event', () => hooks.requests[2]);
      verify(resend, later, third.signing_secret);
      verify(resend, later, second.signing_secret);
      assert.throws(() => verify(resend, later, made.data.signing_secret));

      // What went there.
      await until('all is recorded', async () => (await resend.webhooks.events.list({ webhookId: id })).data.data.every((one) => one.status === 'success'));
      const events = (await resend.webhooks.events.list({ webhookId: id })).data;
      assert.equal(events.object, 'list');
      assert.deepEqual(events.data.map((one) => one.type), ['suppression.added', 'suppression.added', 'webhook.test']);
      assert.deepEqual(keysOf(events.data[0]), ['created_at', 'id', 'status', 'type']);
      const page = (await resend.webhooks.events.list({ webhookId: id, limit: 1, after: events.data[0].id })).data;
      assert.equal(page.has_more, true);
      assert.deepEqual(page.data, [events.data[1]]);
      const eventId = events.data[0].id;
      const event = (await resend.webhooks.events.get({ webhookId: id, eventId })).data;
      assert.deepEqual(keysOf(event), ['created_at', 'id', 'next_attempt_at', 'object', 'payload', 'status', 'type']);
      assert.equal(JSON.stringify(event.payload), later.body);
      const attempts = (await resend.webhooks.events.attempts.list({ webhookId: id, eventId })).data;
      assert.equal(attempts.data.length, 1);
      assert.deepEqual(keysOf(attempts.data[0]), ['attempt', 'duration_ms', 'error', 'http_status_code', 'id', 'response', 'sent_at', 'url_host']);
      assert.equal(attempts.data[0].http_status_code, 200);
      assert.equal(attempts.data[0].response, 'ok');
      assert.equal(attempts.data[0].url_host, '127.0.0.1');

      // Replays: the same id and bytes, another time.
      const replayed = await resend.webhooks.events.replay({ webhookId: id, eventId });
      assert.deepEqual(replayed.data, { object: 'webhook_event', id: eventId });
      const again = await until('the replay', () => hooks.requests[3]);
      assert.equal(again.body, later.body);
      assert.equal(again.headers['webhook-id'], later.headers['webhook-id']);
      verify(resend, again, third.signing_secret);
      await until('it is recorded', async () => (await resend.webhooks.events.attempts.list({ webhookId: id, eventId })).data.data.length === 2);
      const deliveries = (await instance.call('GET', `/webhooks/${id}/deliveries?limit=2`, { key })).body;
      assert.equal(deliveries.has_more, true);
      assert.deepEqual(keysOf(deliveries.data[0]), ['attempt', 'attempted_at', 'created_at', 'event_id', 'event_type', 'id', 'next_retry_at', 'response_body', 'status', 'status_code']);
      const pair = await instance.call('POST', `/webhooks/${id}/deliveries/${deliveries.data[0].id}/replay`, { key });
      assert.equal(pair.status, 202);
      assert.deepEqual(keysOf(pair.body), ['object', 'original_delivery', 'replay_delivery']);
      assert.deepEqual(pair.body.original_delivery, deliveries.data[0]);
      assert.notEqual(pair.body.replay_delivery.id, deliveries.data[0].id);
      assert.equal(pair.body.replay_delivery.event_id, eventId);
      await until('the second replay', () => hooks.requests.length === 5);
      assert.equal(hooks.requests[4].body, later.body);

      // 410 ends a delivery at once; a range takes what failed.
      answer = 410;
      for (const name of ['a', 'b', 'c']) await suppress(instance, key, `${name}@gone.example`);
      await until('they are dead letters', async () => (await resend.webhooks.events.list({ webhookId: id })).data.data.filter((one) => one.status === 'failed').length === 3);
      answer = 200;
      assert.equal((await instance.call('POST', `/webhooks/${id}/replay`, { key, body: {} })).status, 422);
      const bad = await instance.call('POST', `/webhooks/${id}/replay`, { key, body: { since: '2020-01-01', statuses: ['gone'] } });
      assert.equal(bad.status, 422);
      const range = await instance.call('POST', `/webhooks/${id}/replay`, { key, body: { since: '2020-01-01' } });
      assert.deepEqual(range.body, { object: 'webhook_replay', queued: 3 });
      await until('they arrive', async () => (await resend.webhooks.events.list({ webhookId: id })).data.data.every((one) => one.status === 'success'));

      // A redirect is not followed, and is a failure.
      answer = 302;
      await suppress(instance, key, 'moved@example.com');
      const moved = await until('a failed attempt', async () => {
        const [newest] = (await resend.webhooks.events.list({ webhookId: id })).data.data;
        const tried = (await resend.webhooks.events.attempts.list({ webhookId: id, eventId: newest.id })).data.data;
        return tried.find((one) => one.http_status_code === 302);
      });
      assert.equal(moved.error, 'redirect_refused');

      // Switched off: nothing waits, nothing is made, replays are refused.
      answer = 200;
      const off = await resend.webhooks.update(id, { status: 'disabled' });
      assert.deepEqual(off.error, null);
      assert.equal(off.data.object, 'webhook');
      const before = hooks.requests.length;
      await suppress(instance, key, 'silent@example.com');
      for (const [path, body] of [['test'], ['replay', { since: '2020-01-01' }], [`events/${eventId}/replay`], [`deliveries/${deliveries.data[0].id}/replay`]]) {
        const refused = await instance.call('POST', `/webhooks/${id}/${path}`, { key, body });
        assert.equal(refused.status, 409, path);
        assert.equal(refused.body.code, 'webhook_disabled');
      }
      const at = (await readLog(instance, key)).last.latest_sequence - 2;
      const on = await instance.call('POST', `/webhooks/${id}/enable`, { key, body: { backfill_from: at } });
      assert.equal(on.status, 200);
      assert.equal(on.body.status, 'enabled');
      await until('what was missed arrives', () => hooks.requests.length >= before + 2);
      await sleep(300);
      assert.deepEqual(hooks.requests.slice(before).map((one) => JSON.parse(one.body).data.email).sort(), ['moved@example.com', 'silent@example.com']);
      assert.equal((await instance.call('POST', `/webhooks/${id}/enable`, { key, body: { backfill_from: 'soon' } })).status, 422);

      const changed = await instance.call('PATCH', `/webhooks/${id}`, { key, body: { active: false, description: 'mine', event_types: ['*'] } });
      assert.equal(changed.body.status, 'disabled');
      assert.deepEqual(changed.body.events, ['*']);
      assert.equal((await instance.call('PATCH', `/webhooks/${id}`, { key, body: { description: null } })).body.description, null);
      assert.equal((await instance.call('PATCH', `/webhooks/${id}`, { key, body: { events: [] } })).status, 422);
      assert.equal((await instance.call('PATCH', `/webhooks/${id}`, { key, body: { events: ['inbox.created'] } })).status, 422);
      assert.equal((await instance.call('PATCH', `/webhooks/${id}`, { key, body: { endpoint: 'http://169.254.169.254/' } })).body.code, 'unsafe_url');

      // Strangers see nothing, wrong ids say so.
      const stranger = instance.key('--org', instance.run('orgs', 'create', '--name', 'other').trim());
      for (const route of ['', '/events', '/deliveries', `/events/${eventId}`, `/events/${eventId}/attempts`]) {
        assert.equal((await instance.call('GET', `/webhooks/${id}${route}`, { key: stranger })).body.code, 'webhook_not_found');
      }
      assert.equal((await instance.call('GET', `/webhooks/${id}/events/msg_0000000000000000000000`, { key })).body.code, 'webhook_event_not_found');
      assert.equal((await instance.call('GET', `/webhooks/${id}/events/nonsense`, { key })).body.name, 'invalid_parameter');
      assert.equal((await instance.call('GET', `/webhooks/${id}/events?after=${id}`, { key })).body.name, 'invalid_parameter');
      assert.equal((await instance.call('POST', `/webhooks/${id}/deliveries/${id}/replay`, { key })).body.code, 'webhook_delivery_not_found');
      assert.deepEqual((await resend.webhooks.remove(id)).data, { object: 'webhook', id, deleted: true });
      assert.equal((await resend.webhooks.get(id)).error.name, 'not_found');
      assert.ok(other.requests.some((one) => JSON.parse(one.body).type === 'suppression.added'));
      assert.ok(other.requests.every((one) => JSON.parse(one.body).type !== 'webhook.test'));

      const audited = new Set(actions(instance));
      for (const action of ['created', 'updated', 'secret_rotated', 'secret_read', 'enabled', 'replayed', 'deleted']) {
        assert.ok(audited.has(`webhook.${action}`), action);
      }
      assert.ok(!instance.run('audit', 'export').includes('whsec_'), 'no secret in the audit log');
      assert.ok(!instance.log.includes('whsec_'), 'no secret in the log');
      instance.run('audit', 'verify');
    } finally {
      hooks.stop();
      other.stop();
      await instance.destroy();
    }
  });

  test(`a reader of the event log sees what the database has (${database})`, async () => {
    const { instance, key } = await prepared(database);
    try {
      // The answer waits until somebody writes.
      const started = Date.now();
      const waiting = instance.call('GET', '/events/log?wait=20', { key });
      await sleep(400);
      await suppress(instance, key, 'first@example.com');
      const woken = await waiting;
      assert.equal(woken.body.data.length, 1);
      assert.ok(Date.now() - started < 10000);
      assert.deepEqual(keysOf(woken.body), ['data', 'has_more', 'latest_sequence', 'next_after', 'object', 'oldest_sequence']);
      assert.deepEqual(Object.keys(woken.body.data[0]), ['id', 'sequence', 'type', 'created_at', 'data']);
      // Other types move the cursor and end no wait.
      const skipped = instance.call('GET', '/events/log?wait=2&after=1&types=domain.created,email.delayed', { key });
      await suppress(instance, key, 'second@example.com');
      const late = (await skipped).body;
      assert.deepEqual([late.data.length, late.next_after, late.latest_sequence], [0, 2, 2]);

      // Sixteen writers, and readers that follow with small pages while they write.
      const total = 320;
      let written = 0;
      const writers = Array.from({ length: 16 }, async (_, w) => {
        for (let i = 0; i < total / 16; i += 1) {
          const made = await suppress(instance, key, `w${w}-${i}@example.com`);
          assert.equal(made.status, 201);
          written += 1;
        }
      });
      const follow = async (limit) => {
        const seen = [];
        for (let after = 0; seen.length < total + 2;) {
          const page = (await instance.call('GET', `/events/log?after=${after}&limit=${limit}&wait=5`, { key })).body;
          seen.push(...page.data);
          after = page.next_after;
        }
        return seen;
      };
      const [one, two] = await Promise.all([follow(7), follow(100), ...writers]);
      assert.equal(written, total);
      assert.deepEqual(one.map((entry) => entry.sequence), Array.from({ length: total + 2 }, (_, i) => i + 1));
      assert.deepEqual(one, two);
      assert.equal(new Set(one.map((entry) => entry.id)).size, total + 2);
      assert.deepEqual((await readLog(instance, key, { limit: 1000 })).all, one);

      for (const bad of ['after=-1', 'after=x', 'limit=0', 'limit=1001', 'wait=31', 'types=no.such']) {
        assert.equal((await instance.call('GET', `/events/log?${bad}`, { key })).status, 422, bad);
      }
      // Too many waiting calls of one organization are answered at once; a stop answers the others.
      const many = Array.from({ length: 80 }, () => instance.call('GET', `/events/log?wait=30&after=${total + 2}`, { key }));
      const early = await Promise.race([Promise.all(many.map((one) => one.then(() => 1))).then(() => 'all'), Promise.any(many)]);
      assert.equal(early.status, 200);
      await sleep(300);
      await instance.stop();
      for (const one of await Promise.all(many)) assert.deepEqual([one.status, one.body.data], [200, []]);
    } finally {
      await instance.destroy();
    }
  });

  test(`a killed server repeats deliveries and loses none (${database})`, async () => {
    const { instance, key } = await prepared(database);
    const hooks = await webhookReceiver(() => 200);
    // What a lost process of several had under way comes back after its lease of a minute.
    const kills = database === 'sqlite' ? 3 : 1;
    const total = kills * 50;
    try {
      await instance.call('POST', '/webhooks', { key, body: { endpoint: hooks.url, events: ['suppression.added'] } });
      for (let i = 0; i < total; i += 50) {
        const emails = Array.from({ length: 50 }, (_, j) => `k${i + j}@example.com`);
        assert.equal((await instance.call('POST', '/suppressions/batch/add', { key, body: { emails } })).status, 201);
        await until('some arrive', () => hooks.requests.length > i / 2);
        await instance.stop('SIGKILL');
        await instance.start();
      }
      await until('all arrive', () => new Set(hooks.requests.map((one) => one.headers['webhook-id'])).size === total, 150000);
      const bodies = new Map();
      for (const request of hooks.requests) {
        const id = request.headers['webhook-id'];
        assert.equal(bodies.get(id) ?? request.body, request.body);
        bodies.set(id, request.body);
      }
      const { all } = await readLog(instance, key, { limit: 1000 });
      assert.deepEqual(new Set(all.map((entry) => entry.id)), new Set(bodies.keys()));
    } finally {
      hooks.stop();
      await instance.destroy();
    }
  });

  test(`endpoints that never answer delay no other (${database})`, async () => {
    const { instance } = await prepared(database, { OPENSEND_WEBHOOKS__TIMEOUT: '15s' });
    const held = new Set();
    const hole = createServer((socket) => { held.add(socket); socket.on('error', () => {}); }).listen(0, '127.0.0.1');
    const healthy = await webhookReceiver();
    const broken = await webhookReceiver(() => 500);
    const arrivals = new Map();
    try {
      const keys = [];
      for (let org = 0; org < 8; org += 1) keys.push(instance.key('--org', instance.run('orgs', 'create', '--name', `org${org}`).trim()));
      const urls = [`http://127.0.0.1:${hole.address().port}/`, broken.url, healthy.url];
      // Of forty endpoints per organization thirteen never answer and four say 500.
      await Promise.all(keys.map(async (key, org) => {
        for (let i = 0; i < 40; i += 1) {
          const kind = i % 3 === 0 && i < 39 ? 0 : i % 10 === 1 ? 1 : 2;
          const made = await instance.call('POST', '/webhooks', { key, body: { endpoint: `${urls[kind]}?${org}.${i}`, events: ['suppression.added'] } });
          assert.equal(made.status, 201, made.text);
          if (kind === 2) arrivals.set(`${org}.${i}`, 0);
        }
      }));
      const holes = 8 * 13;
      assert.ok(holes > 100);
      const events = 3;
      const delays = [];
      for (let round = 0; round < events; round += 1) {
        const before = healthy.requests.length;
        const start = Date.now();
        await Promise.all(keys.map((key) => suppress(instance, key, `r${round}@example.com`)));
        await until('the healthy ones have it', () => healthy.requests.length >= before + arrivals.size, 20000);
        delays.push(...healthy.requests.slice(before).map((one) => one.at - start));
      }
      delays.sort((a, b) => a - b);
      const p99 = delays[Math.floor(delays.length * 0.99)];
      assert.equal(delays.length, events * arrivals.size);
      assert.ok(p99 < 2000, `p99 of the healthy endpoints is ${p99} ms`);
      assert.ok(held.size > 90, `${held.size} requests hang`);
    } finally {
      for (const socket of held) socket.destroy();
      hole.close();
      healthy.stop();
      broken.stop();
      await instance.destroy();
    }
  });
}

test('addresses inside are refused, however they are written', async () => {
  const instance = await new Instance({}).prepare();
  const key = instance.key();
  await instance.start();
  try {
    for (const endpoint of [
      'http://127.0.0.1/', 'http://2130706433/', 'http://0x7f.1/', 'http://017700000001/', 'http://[::1]/', 'http://[::ffff:127.0.0.1]/',
      'http://localhost/', 'http://LOCALHOST./', 'http://169.254.169.254/latest', 'http://metadata/', 'http://10.0.0.1/', 'http://a:b@example.com/',
      'http://example.com:22/', 'ftp://example.com/', 'file:///etc/passwd', 'gopher://example.com/', 'http://１２７.0.0.1/', 'http://ex ample.com/',
      'http://[fe80::1%25eth0]/', 'http://64:ff9b::7f00:1/', 'javascript:alert(1)', 'http://0/', 'http://example.com\\@127.0.0.1/']) {
      const refused = await instance.call('POST', '/webhooks', { key, body: { endpoint, events: ['*'] } });
      assert.equal(refused.status, 422, endpoint);
      assert.equal(refused.body.code, 'unsafe_url', endpoint);
      assert.ok(refused.body.details.reason, endpoint);
      assert.ok(!refused.text.includes('127.0.0.1') || endpoint.includes('127'), 'no resolved address is shown');
    }
    assert.equal((await instance.call('POST', '/webhooks', { key, body: { endpoint: `https://example.com/${'a'.repeat(2048)}`, events: ['*'] } })).status, 422);
    // A wait that is over answers empty.
    const none = await instance.call('GET', '/events/log?wait=1', { key });
    assert.deepEqual(none.body, { object: 'list', has_more: false, data: [], next_after: 0, oldest_sequence: 1, latest_sequence: 0 });
  } finally {
    await instance.destroy();
  }
});
