// Domains with clients nobody here wrote: the official client creates them, the records go into a
// name server, and an independent verifier reads the signatures of what is sent.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';
import { dkimVerify } from 'mailauth/lib/dkim/verify.js';
import { Resend } from 'resend';
import { NameServer } from './dns.mjs';
import { Instance, smtpSink, until, webhookReceiver } from './support.mjs';

const kinds = ['sqlite', 'postgres'];

function publish(dns, records) {
  for (const record of records) dns.publish(record.fqdn, record.type, record.value, record.priority);
}

/** What a verifier sees of a stored message: CRLF lines, without what the sink put in front. */
function asSent(text) {
  const start = text.search(/^DKIM-Signature:/m);
  return Buffer.from(text.slice(start).replace(/\r?\n/g, '\r\n'), 'latin1');
}

async function signatures(dns, message) {
  const { results } = await dkimVerify(message, { resolver: dns.resolver() });
  return results.map((one) => ({ result: one.status.result, domain: one.signingDomain, selector: one.selector, algo: one.algo, comment: one.status.comment }));
}

async function makeInstance(database, dns, env = {}) {
  const instance = new Instance({ database, env: { OPENSEND_DNS__SERVERS: dns.address, ALLOW_PRIVATE_WEBHOOK_URLS: 'true', ...env } });
  await instance.prepare();
  return instance;
}

async function verified(instance, dns, key, name, options = {}) {
  const made = await instance.call('POST', '/domains', { key, body: { name, ...options } });
  assert.equal(made.status, 201, made.text);
  publish(dns, made.body.records);
  const answer = await instance.call('POST', `/domains/${made.body.id}/verify`, { key });
  assert.equal(answer.status, 200);
  assert.equal(answer.body.status, 'verified', answer.text);
  return made.body;
}

for (const database of kinds) {
  test(`a domain is created, published, verified, sends signed mail and is deleted (${database})`, async () => {
    const dns = await new NameServer().start();
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'opensend-sink-'));
    fs.chmodSync(folder, 0o755);
    const sink = await smtpSink(path.join(folder, 'sink'));
    const instance = await makeInstance(database, dns, {
      OPENSEND_TRANSPORT__RELAY__URL: `smtp://127.0.0.1:${sink.port}?tls=opportunistic`,
      OPENSEND_TRANSPORT__NAMES: 'relay', OPENSEND_TRANSPORT__RELAY__SPF: 'include:relay.example', OPENSEND_INBOUND__MX_HOST: 'mx.mailhost.example',
    });
    const hooks = await webhookReceiver();
    try {
      const key = instance.key();
      await instance.start();
      process.env.RESEND_BASE_URL = instance.base;
      const resend = new Resend(key, { baseUrl: instance.base });
      await resend.webhooks.create({ endpoint: hooks.url, events: ['domain.created', 'domain.updated', 'domain.deleted'] });

      const made = await resend.domains.create({ name: 'Acme-Mail.DEV.', customReturnPath: 'bounce' });
      assert.equal(made.error, null);
      assert.equal(made.data.name, 'acme-mail.dev');
      assert.equal(made.data.status, 'not_started');
      const read = await resend.domains.get(made.data.id);
      const rows = read.data.records.map((one) => `${one.record} ${one.type} ${one.name}`);
      assert.deepEqual(rows.map((row) => row.replace(/os[0-9a-f]{10}/, 'SEL')), [
        'SPF MX bounce', 'SPF TXT bounce', 'DKIM TXT SEL._domainkey', 'DKIM TXT SEL-ed._domainkey', 'DMARC TXT _dmarc']);
      const before = await resend.domains.verify(made.data.id);
      assert.equal(before.error, null);
      assert.equal(before.data.object, 'domain');
      assert.equal((await resend.domains.get(made.data.id)).data.status, 'pending');
      const refused = await resend.emails.send({ from: 'a@acme-mail.dev', to: 'b@example.com', subject: 's', text: 't' });
      assert.equal(refused.error.statusCode, 403);

      // Another text beside ours, a host in other case, and one record that answers with SERVFAIL.
      publish(dns, read.data.records.map((one) => (one.type === 'MX' ? { ...one, value: one.value.toUpperCase() } : one)));
      const rsa = read.data.records.find((one) => one.record === 'DKIM');
      dns.publish(rsa.fqdn, 'TXT', 'some-service-verification=1');
      dns.failing.add(rsa.fqdn);
      await resend.domains.verify(made.data.id);
      let now = (await resend.domains.get(made.data.id)).data;
      assert.equal(now.status, 'pending');
      assert.equal(now.records.find((one) => one.fqdn === rsa.fqdn).status, 'temporary_failure');
      dns.failing.clear();
      await resend.domains.verify(made.data.id);
      now = (await resend.domains.get(made.data.id)).data;
      assert.equal(now.status, 'verified');
      assert.ok(now.records.every((one) => one.status === 'verified'), JSON.stringify(now.records));
      assert.ok(dns.truncated > 0, 'the long key came over TCP');

      const sent = await resend.emails.send({ from: 'Ada <ada@acme-mail.dev>', to: ['friend@example.com'], subject: 'Grüße 🚀', html: '<p>Hi</p>' });
      assert.equal(sent.error, null);
      const messages = await until('the copy arrives', () => (sink.messages().some((text) => text.includes('MIME-Version')) ? sink.messages() : null));
      const found = await signatures(dns, asSent(messages[0]));
      assert.deepEqual(found.map((one) => [one.result, one.domain, one.algo]), [
        ['pass', 'acme-mail.dev', 'ed25519-sha256'], ['pass', 'acme-mail.dev', 'rsa-sha256']]);
      assert.match(messages[0], /^DKIM-Signature: v=1; a=ed25519-sha256;/m);

      const changed = await resend.domains.update({ id: made.data.id, openTracking: true, tls: 'enforced' });
      assert.equal(changed.error, null);
      now = (await resend.domains.get(made.data.id)).data;
      assert.equal(now.open_tracking, true);
      assert.equal(now.tls, 'enforced');
      assert.equal(now.status, 'verified');
      // In clear there is no way for it any more.
      const waits = await resend.emails.send({ from: 'ada@acme-mail.dev', to: 'two@example.com', subject: 'waits', text: 't' });
      await until('it waits', async () => (await resend.emails.get(waits.data.id)).data?.last_event === 'delivery_delayed');

      // The domain goes while a message waits for its time.
      const later = await resend.emails.send({
        from: 'ada@acme-mail.dev', to: 'later@example.com', subject: 'later', text: 't', scheduledAt: new Date(Date.now() + 3000).toISOString() });
      assert.equal(later.error, null);
      assert.deepEqual((await resend.domains.remove(made.data.id)).data, { object: 'domain', id: made.data.id, deleted: true });
      assert.equal((await resend.domains.get(made.data.id)).error.name, 'not_found');
      await until('it ends', async () => (await resend.emails.get(later.data.id)).data?.last_event === 'failed');
      assert.match(instance.run('explain', later.data.id), /is no longer verified/);

      const types = await until('the events arrive', () => (hooks.requests.some((one) => one.body.includes('domain.deleted')) ? hooks.requests : null));
      const updates = types.map((one) => JSON.parse(one.body)).filter((event) => event.type === 'domain.updated');
      assert.ok(updates.some((event) => event.data.previous_status === 'pending' && event.data.status === 'verified'));
      assert.ok(updates.some((event) => event.data.changed_fields.includes('open_tracking')));
      const again = await resend.domains.create({ name: 'acme-mail.dev' });
      assert.notEqual(again.data.records.find((one) => one.record === 'DKIM').name, rsa.name);
      // Creation alone starts a look-up.
      await until('the new row was looked at', () => hooks.requests.map((one) => JSON.parse(one.body))
        .some((event) => event.type === 'domain.updated' && event.data.id === again.data.id && event.data.status === 'pending'));
    } finally {
      await instance.destroy();
      sink.stop();
      hooks.stop();
      dns.stop();
      fs.rmSync(folder, { recursive: true, force: true });
    }
  });

  test(`names, settings and errors of the contract (${database})`, async () => {
    const dns = await new NameServer().start();
    const instance = await makeInstance(database, dns, {
      OPENSEND_SMTP__HOSTNAME: 'smtp.house.example', OPENSEND_DOMAINS__REGIONS: 'moon-1',
      OPENSEND_INBOUND__MX_HOST: 'mx.house.example', OPENSEND_TRACKING__CNAME_TARGET: 'links.house.example',
    });
    try {
      instance.run('orgs', 'create', '--name', 'second');
      const key = instance.key();
      const other = instance.key('--org', 'second');
      await instance.start();
      const post = (name, more = {}, options = {}) => instance.call('POST', '/domains', { key, body: { name, ...more }, ...options });
      for (const name of ['resend.dev', 'MAIL.Resend.dev', 'opensend.test', 'x.localhost', 'a.invalid', 'com', 'co.uk', 'one', '', ' ', '.', 'a..b.dev',
        '192.0.2.1', '2001:db8::1', '[192.0.2.1]', 'acme.123', '-a.dev', 'a-.dev', 'a_b.dev', 'acme.dev..', `${'x'.repeat(64)}.dev`,
        `${'abcdefgh.'.repeat(32)}dev`, 'smtp.house.example', 'deep.smtp.house.example', 'MX.house.example.',
        'links.house.example', 'ac me.dev', 'acme.dev/x', 'a@acme.dev', 'xn--a.dev', 'http://acme.dev']) {
        const answer = await post(name);
        assert.equal(answer.status, 422, `${name}: ${answer.text}`);
      }
      const german = await post(' BÜCHER.example. ');
      assert.equal(german.body.name, 'xn--bcher-kva.example');
      assert.equal(german.body.unicode_name, 'bücher.example');
      assert.equal((await post('xn--bcher-kva.example')).body.code, 'domain_already_exists');
      assert.equal((await post('straße.example')).body.name, 'xn--strae-oqa.example');
      assert.equal((await post('sub.bücher.example')).status, 201);
      const record = (await post('deep.sub.acme.co.uk', { custom_return_path: 'Bounce' })).body.records[0];
      assert.deepEqual([record.name, record.fqdn], ['bounce.deep.sub', 'bounce.deep.sub.acme.co.uk']);

      assert.equal((await post('r.dev', { region: 'moon-2' })).body.name, 'invalid_region');
      assert.equal((await post('r.dev', { region: 'moon-1' })).body.region, 'moon-1');
      for (const more of [{ custom_return_path: '1a' }, { custom_return_path: 'a.b' }, { custom_return_path: 'a-' }, { custom_return_path: 'x'.repeat(64) },
        { tls: 'none' }, { capabilities: { sending: 'disabled' } }, { capabilities: { sending: true } }, { capabilities: { flying: 'enabled' } },
        { capabilities: 'all' }, { open_tracking: 'true' }, { tracking_subdomain: 'a b' }]) {
        assert.equal((await post('bad.dev', more)).status, 422, JSON.stringify(more));
      }
      const objects = (await post('caps-a.dev', { capabilities: { receiving: 'enabled' } })).body;
      const arrays = (await post('caps-b.dev', { capabilities: [{ name: 'receiving', enabled: true }] })).body;
      assert.deepEqual(objects.capabilities, arrays.capabilities);
      assert.deepEqual(objects.records.map((one) => one.record), ['SPF', 'DKIM', 'DKIM', 'DMARC', 'Receiving']);

      const replay = { headers: { 'Idempotency-Key': 'once' } };
      const first = await post('once.dev', {}, replay);
      const second = await post('once.dev', {}, replay);
      assert.deepEqual([second.status, second.text, second.headers.get('idempotency-replayed')], [201, first.text, 'true']);
      assert.equal((await post('twice.dev', {}, replay)).body.name, 'invalid_idempotent_request');

      const route = `/domains/${first.body.id}`;
      const patch = (body) => instance.call('PATCH', route, { key, body });
      assert.equal((await patch({})).status, 422);
      assert.equal((await patch({ name: 'x.dev' })).status, 422);
      assert.equal((await patch({ tls: null })).status, 422);
      assert.equal((await patch({ capabilities: { sending: 'disabled' } })).status, 422);
      assert.equal((await patch({ tracking_subdomain: 'links', tls: 'required' })).body.tls, 'enforced');
      assert.ok((await instance.call('GET', route, { key })).body.records.some((one) => one.record === 'Tracking' && one.fqdn === 'links.once.dev'));
      assert.equal((await patch({ tracking_subdomain: null })).body.tracking_subdomain, null);
      assert.ok(!(await patch({ tracking_subdomain: null })).body.records.some((one) => one.record === 'Tracking'));
      assert.deepEqual((await patch({ capabilities: { receiving: 'enabled', sending: 'disabled' } })).body.records.map((one) => one.record), ['DKIM', 'Receiving']);

      // A row of another tenant is no row.
      const missing = '019c1d94-8a80-7933-b947-b602098a6b09';
      for (const [method, tail, body] of [['GET', ''], ['PATCH', '', { tls: 'enforced' }], ['DELETE', ''], ['POST', '/verify'], ['GET', '/claim'], ['POST', '/claim/verify']]) {
        const foreign = await instance.call(method, route + tail, { key: other, body });
        const nothing = await instance.call(method, `/domains/${missing}${tail}`, { key: other, body });
        assert.equal(foreign.status, 404, `${method} ${tail}`);
        assert.deepEqual({ ...foreign.body, request_id: 0 }, { ...nothing.body, request_id: 0 });
      }
      assert.equal((await instance.call('POST', '/domains/nonsense/verify', { key })).body.name, 'invalid_parameter');
      const restricted = instance.key('--domain', 'once.dev', '--name', 'narrow');
      assert.equal((await instance.call('DELETE', route, { key: restricted })).status, 401);
      assert.equal((await instance.call('POST', `/domains/${german.body.id}/verify`, { key: restricted })).status, 404);

      // The same name elsewhere, while nobody has proven it.
      const shared = await instance.call('POST', '/domains', { key: other, body: { name: 'once.dev' } });
      assert.equal(shared.status, 201);
      assert.equal((await instance.call('POST', '/domains/claim', { key: other, body: { name: 'once.dev' } })).body.code, 'domain_already_exists');
      assert.equal((await instance.call('POST', '/domains/claim', { key: other, body: { name: 'nobody.dev' } })).body.code, 'claim_not_needed');
    } finally {
      await instance.destroy();
      dns.stop();
    }
  });

  test(`one of two tenants gets a name, the other claims it (${database})`, async () => {
    const dns = await new NameServer().start();
    const instance = await makeInstance(database, dns);
    try {
      instance.run('orgs', 'create', '--name', 'second');
      const keys = [instance.key(), instance.key('--org', 'second')];
      await instance.start();
      for (let round = 0; round < 5; ++round) {
        const name = `race${round}.dev`;
        const rows = await Promise.all(keys.map((key) => instance.call('POST', '/domains', { key, body: { name } })));
        for (const row of rows) publish(dns, row.body.records.filter((one) => one.record === 'DKIM'));
        const answers = await Promise.all(rows.map((row, i) => instance.call('POST', `/domains/${row.body.id}/verify`, { key: keys[i] })));
        const states = answers.map((one) => one.body.status).sort();
        assert.deepEqual(states, ['failed', 'verified'], JSON.stringify(answers.map((one) => one.body)));
        const loser = answers.find((one) => one.body.status === 'failed').body;
        assert.equal(loser.status_reason, 'held_by_another_organization');
        assert.equal(loser.sending_verified, false);
      }
      await verified(instance, dns, keys[0], 'held.dev');
      const refused = await instance.call('POST', '/domains', { key: keys[1], body: { name: 'held.dev' } });
      assert.deepEqual([refused.status, refused.body.name, refused.body.code], [403, 'validation_error', 'domain_claim_required']);

      const claim = await instance.call('POST', '/domains/claim', { key: keys[1], body: { name: 'held.dev' } });
      assert.equal(claim.status, 201, claim.text);
      assert.match(claim.body.record.value, /^opensend-domain-verification=[0-9a-f]{32}$/);
      assert.deepEqual([claim.body.status, claim.body.record.name, claim.body.record.type], ['pending', 'held.dev', 'TXT']);
      const same = await instance.call('POST', '/domains/claim', { key: keys[1], body: { name: 'HELD.dev' } });
      assert.deepEqual([same.status, same.body.id], [200, claim.body.id]);
      const newer = await instance.call('POST', '/domains/claim', { key: keys[1], body: { name: 'held.dev', region: 'eu-west-1' } });
      assert.equal(newer.status, 201);
      assert.notEqual(newer.body.record.value, claim.body.record.value);
      assert.equal(newer.body.domain_id, claim.body.domain_id);
      const route = `/domains/${newer.body.domain_id}`;
      // The old proof is worth nothing.
      dns.publish('held.dev', 'TXT', claim.body.record.value);
      assert.equal((await instance.call('POST', `${route}/claim/verify`, { key: keys[1] })).body.status, 'pending');
      dns.publish('held.dev', 'TXT', 'v=spf1 -all');
      dns.publish('held.dev', 'TXT', newer.body.record.value);
      const proven = await instance.call('POST', `${route}/claim/verify`, { key: keys[1] });
      assert.deepEqual([proven.status, proven.body.status, proven.body.blocked_reason], [200, 'blocked', 'grace_period'], proven.text);
      assert.ok(Math.abs(new Date(proven.body.blocked_until) - Date.now() - 72 * 3600e3) < 60e3);
      // The holder goes on as before; the placeholder stays what it is.
      const holder = (await instance.call('GET', '/domains', { key: keys[0] })).body.data.find((one) => one.name === 'held.dev');
      assert.equal(holder.status, 'verified');
      const placeholder = await instance.call('POST', `${route}/verify`, { key: keys[1] });
      assert.equal(placeholder.body.status, 'not_started');
      const removed = await instance.call('DELETE', route, { key: keys[1] });
      assert.equal(removed.body.deleted, true);
      assert.equal((await instance.call('GET', `${route}/claim`, { key: keys[1] })).body.status, 'canceled');

      // The holder leaves while a claim waits: the claimant goes on at once.
      const last = await instance.call('POST', '/domains/claim', { key: keys[1], body: { name: 'held.dev' } });
      dns.publish('held.dev', 'TXT', last.body.record.value);
      await instance.call('DELETE', `/domains/${holder.id}`, { key: keys[0] });
      const done = await instance.call('POST', `/domains/${last.body.domain_id}/claim/verify`, { key: keys[1] });
      assert.equal(done.body.status, 'completed');
      const mine = await instance.call('GET', `/domains/${last.body.domain_id}`, { key: keys[1] });
      assert.equal(mine.body.status, 'pending');
      publish(dns, mine.body.records);
      assert.equal((await instance.call('POST', `/domains/${last.body.domain_id}/verify`, { key: keys[1] })).body.status, 'verified');
      assert.ok(!instance.log.includes('domain.check_failed'), instance.log);
    } finally {
      await instance.destroy();
      dns.stop();
    }
  });
}

/** Numbers that are the same in every run. */
function sequence(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const pieces = ['plain words ', 'Grüße ', '🚀👩‍👩‍👧 ', '\t', '  ', '\r\n', '\r\n\r\n', '\n', '.\r\n', '..dots\r\n', 'From here\r\n', '=20=', 'x'.repeat(1200),
  'wörter'.repeat(300), ' \r\n', '日本語 ', '\u200b', '--boundary\r\n', 'a=b; c=d ', '"quoted" ', '<b>bold</b>', '\u00a0'];
const single = pieces.filter((piece) => !/[\r\n\t]/.test(piece)).map((piece) => piece.slice(0, 180));

function generate(random, number) {
  const pick = (list) => list[random(list.length)];
  const many = (list, most) => Array.from({ length: random(most + 1) }, () => pick(list)).join('');
  const name = () => many(['Ada', ' Löve', ' "Q" ', ' 🚀', ', Inc.', ' (x)', ' \\'], 4).trim();
  const mailbox = (address) => { const shown = name().replace(/["\\]/g, ''); return shown ? `"${shown}" <${address}>` : address; };
  const list = (most) => Array.from({ length: random(most + 1) }, (_, i) => mailbox(`r${number}-${i}@example.com`));
  const headers = {};
  for (let i = random(6); i > 0; --i) headers[`X-Odd-${i}`] = (`v${many(single, 6)}`).slice(0, 900).trim();
  if (random(4) === 0) headers['List-Unsubscribe'] = `<https://acme.dev/u/${number}>`;
  if (random(4) === 0) headers['In-Reply-To'] = `<${number}@example.net>`;
  const body = { from: mailbox('sender@bulk.dev'), to: [`to${number}@example.com`], subject: `s ${many(single, 5)}`.slice(0, 900), headers };
  if (random(3) === 0) body.cc = list(5);
  if (random(3) === 0) body.reply_to = list(3);
  if (random(3) > 0) body.html = `<p>${many(pieces, 12)}</p>`;
  if (!body.html || random(2) === 0) body.text = `t${many(pieces, 12)}`;
  body.attachments = Array.from({ length: random(5) === 0 ? random(20) : random(2) }, (_, i) => ({
    filename: pick(['a.txt', 'résumé.pdf', '🚀.bin', 'long'.repeat(40) + '.dat', 'with space.csv']),
    content: Buffer.from(Array.from({ length: random(400) + 1 }, () => random(256))).toString('base64'),
    ...(random(3) === 0 ? { content_id: `cid${i}` } : {}),
  }));
  return body;
}

test('a thousand odd messages pass an independent verifier', async () => {
  const dns = await new NameServer().start();
  const instance = await makeInstance('sqlite', dns, {
    OPENSEND_TRANSPORT_URL: 'capture:///', OPENSEND_RATELIMIT__ORG__SEND__RATE: '100000/s', OPENSEND_RATELIMIT__ORG__SEND__BURST: '100000' });
  try {
    const key = instance.key();
    await instance.start();
    await verified(instance, dns, key, 'bulk.dev');
    const random = sequence(20260302);
    const bodies = Array.from({ length: 1000 }, (_, number) => generate(random, number));
    let copies = 0;
    await Promise.all(Array.from({ length: 16 }, async () => {
      for (let body = bodies.pop(); body; body = bodies.pop()) {
        const answer = await instance.call('POST', '/emails', { key, body });
        assert.equal(answer.status, 200, `${answer.text} ${JSON.stringify(body).slice(0, 2000)}`);
        copies += new Set([...body.to, ...(body.cc ?? [])].map((one) => one.replace(/.*</, ''))).size;
      }
    }));
    const messages = await until('all copies are captured', () => { const all = instance.captured(); return all.length >= copies ? all : null; }, 60000);
    assert.equal(messages.length, copies);
    for (const message of messages) {
      const found = await signatures(dns, asSent(message));
      assert.deepEqual(found.map((one) => one.result), ['pass', 'pass'], `${JSON.stringify(found)}\n${message.slice(0, 6000)}`);
    }
  } finally {
    await instance.destroy();
    dns.stop();
  }
});

test('the command line adds, shows, checks and deletes domains', async () => {
  const dns = await new NameServer().start();
  const instance = await makeInstance('sqlite', dns);
  // Not the helper that blocks: the name server runs in this process.
  const run = async (...args) => (await promisify(execFile)(path.join(process.env.OPENSEND_BUILD, 'bin/opensend'), args,
    { cwd: instance.folder, env: instance.environment(), encoding: 'utf8' })).stdout;
  const status = async (...args) => {
    try { await run(...args); return 0; } catch (error) { return error.code; }
  };
  try {
    assert.match(await run('domains', 'add', 'cli.dev'), /added cli.dev \(not_started\)/);
    const records = (await run('--json', 'domains', 'records', 'cli.dev')).trim().split('\n').map((line) => JSON.parse(line));
    assert.equal(records.length, 3);
    assert.match(await run('domains', 'records', 'cli.dev', '--split'), /"v=DKIM1; k=rsa; p=[^"]{237}" "[^"]+"/);
    assert.equal(await status('domains', 'verify', 'cli.dev'), 3);
    publish(dns, records);
    assert.match(await run('domains', 'verify', 'cli.dev'), /^verified cli.dev/);
    assert.match(await run('domains', 'list'), /verified {2}cli.dev/);
    await run('domains', 'add', 'mine.dev', '--i-own-this-domain');
    await run('domains', 'add', 'later.dev');
    assert.match(await run('domains', 'verify', 'later.dev', '--force'), /^verified later.dev/);
    assert.match(await run('domains', 'delete', 'cli.dev'), /deleted cli.dev/);
    assert.notEqual(await status('domains', 'records', 'cli.dev'), 0);
    assert.notEqual(await status('domains', 'add', 'resend.dev'), 0);
  } finally {
    await instance.destroy();
    dns.stop();
  }
});
