// Edge cases of the contract in which names decide: what a name server says before and after, and who
// proves what. The name of each test begins with the case's.
import assert from 'node:assert/strict';
import net from 'node:net';
import test from 'node:test';
import { NameServer } from './dns.mjs';
import { mail, sql } from './edge_support.mjs';
import { Instance, sleep, until, webhookReceiver } from './support.mjs';

const publish = (dns, records) => { for (const one of records) dns.publish(one.fqdn, one.type, one.value, one.priority); };

async function started(database, dns, env = {}) {
  const instance = await new Instance({ database, env: { OPENSEND_DNS__SERVERS: dns.address, OPENSEND_TRANSPORT_URL: 'capture:///', ...env } }).prepare();
  instance.run('domains', 'add', 'example.dev', '--i-own-this-domain');
  instance.run('orgs', 'create', '--name', 'second');
  const keys = [instance.key(), instance.key('--org', 'second')];
  await instance.start();
  const call = (method, route, options = {}) => instance.call(method, route, { key: keys[0], ...options });
  const theirs = (method, route, options = {}) => instance.call(method, route, { key: keys[1], ...options });
  return { instance, call, theirs };
}

for (const database of ['sqlite', 'postgres']) {
  test(`E67 no attachment comes from an address inside (${database})`, async () => {
    let connections = 0;
    const inner = net.createServer((socket) => { connections += 1; socket.destroy(); }).listen(0, '127.0.0.1');
    await new Promise((done) => inner.once('listening', done));
    const { port } = inner.address();
    const dns = await new NameServer().start();
    const { instance, call } = await started(database, dns, { OPENSEND_EGRESS__PORTS: String(port) });
    try {
      const send = (host) => call('POST', '/emails', { body: mail({ attachments: [{ path: `http://${host}:${port}/a.pdf` }] }) });
      for (const host of ['127.0.0.1', '[::1]', '169.254.169.254', '[::ffff:127.0.0.1]', '[64:ff9b::7f00:1]', '2130706433', '0x7f.1', 'localhost', '10.0.0.1']) {
        const refused = await send(host);
        assert.deepEqual([refused.status, refused.body.name], [422, 'invalid_attachment'], `${host}: ${refused.text}`);
      }
      dns.publish('loop.example', 'A', '127.0.0.1');
      dns.publish('link.example', 'A', '169.254.169.254');
      dns.publish('both.example', 'A', '93.184.216.34');
      dns.publish('both.example', 'A', '127.0.0.1');
      for (const host of ['loop.example', 'link.example', 'both.example']) {
        const sent = await send(host);
        assert.equal(sent.status, 200, sent.text);
        const end = await until(`${host} is refused`, async () => {
          const { body } = await call('GET', `/emails/${sent.body.id}`);
          return body.status === 'failed' ? body : null;
        });
        assert.equal(end.recipients[0].last_error.code, 'attachment_fetch_failed');
      }
      assert.equal(connections, 0);
      assert.deepEqual(instance.captured(), []);
    } finally {
      await instance.destroy();
      dns.stop();
      inner.close();
    }
  });

  test(`E91 an endpoint that moves inside gets nothing, unless the operator allows it (${database})`, async () => {
    const hooks = await webhookReceiver();
    const port = new URL(hooks.url).port;
    const dns = await new NameServer().start();
    const { instance, call } = await started(database, dns, { OPENSEND_EGRESS__PORTS: port });
    const make = (host) => call('POST', '/webhooks', { body: { endpoint: `http://${host}:${port}/hook`, events: ['suppression.added'] } });
    try {
      dns.publish('inside.example', 'A', '127.0.0.1');
      for (const host of ['127.0.0.1', 'inside.example', 'localhost']) {
        const refused = await make(host);
        assert.deepEqual([refused.status, refused.body.code], [422, 'unsafe_url'], `${host}: ${refused.text}`);
        assert.ok(refused.body.details.reason);
      }
      dns.publish('moves.example', 'A', '93.184.216.34');
      const made = await make('moves.example');
      assert.equal(made.status, 201, made.text);
      dns.withdraw('moves.example');
      dns.publish('moves.example', 'A', '127.0.0.1');
      await sleep(1500);
      await call('POST', '/suppressions', { body: { email: 'one@example.com' } });
      const attempts = async () => {
        const [event] = (await call('GET', `/webhooks/${made.body.id}/events`)).body.data;
        return event ? (await call('GET', `/webhooks/${made.body.id}/events/${event.id}/attempts`)).body.data : [];
      };
      const [tried] = await until('it was tried', async () => { const all = await attempts(); return all.length > 0 ? all : null; });
      assert.deepEqual([tried.http_status_code, tried.error], [0, 'unsafe_url']);
      assert.equal(hooks.requests.length, 0);

      await instance.stop();
      await instance.start({ OPENSEND_EGRESS__ALLOW_CIDRS: '127.0.0.0/8' });
      assert.equal((await make('inside.example')).status, 201);
      await call('POST', '/suppressions', { body: { email: 'two@example.com' } });
      await until('both have it', () => hooks.requests.filter((one) => one.body.includes('two@example.com')).length === 2);
    } finally {
      await instance.destroy();
      dns.stop();
      hooks.stop();
    }
  });

  test(`what others publish on ${database}`, async (t) => {
    const dns = await new NameServer().start();
    const { instance, call, theirs } = await started(database, dns);
    try {
      await t.test('E96 the proof of another organization proves nothing', async () => {
        const mine = (await call('POST', '/domains', { body: { name: 'shared.dev' } })).body;
        const other = (await theirs('POST', '/domains', { body: { name: 'shared.dev' } })).body;
        publish(dns, mine.records);
        const refused = await theirs('POST', `/domains/${other.id}/verify`);
        assert.equal(refused.body.sending_verified, false);
        assert.notEqual(refused.body.status, 'verified');
        const good = await call('POST', `/domains/${mine.id}/verify`);
        assert.equal(good.body.status, 'verified', good.text);
        const send = { body: mail({ from: 'a@shared.dev' }) };
        assert.equal((await theirs('POST', '/emails', send)).status, 403);
        assert.equal((await call('POST', '/emails', send)).status, 200);

        instance.run('orgs', 'create', '--name', 'third');
        const key = instance.key('--org', 'third');
        await theirs('DELETE', `/domains/${other.id}`);
        const claims = [await theirs('POST', '/domains/claim', { body: { name: 'shared.dev' } }), await instance.call('POST', '/domains/claim', { key, body: { name: 'shared.dev' } })];
        assert.notEqual(claims[0].body.record.value, claims[1].body.record.value);
        dns.publish('shared.dev', 'TXT', claims[1].body.record.value);
        assert.equal((await theirs('POST', `/domains/${claims[0].body.domain_id}/claim/verify`)).body.status, 'pending');
        assert.equal((await instance.call('POST', `/domains/${claims[1].body.domain_id}/claim/verify`, { key })).body.status, 'blocked');
      });

      await t.test('E97 a name server that fails takes no domain away', async () => {
        const made = (await call('POST', '/domains', { body: { name: 'steady.dev' } })).body;
        publish(dns, made.records);
        assert.equal((await call('POST', `/domains/${made.id}/verify`)).body.status, 'verified');
        for (const { fqdn } of made.records) dns.failing.add(fqdn);
        await sleep(1500);
        const checked = (await call('POST', `/domains/${made.id}/verify`)).body;
        dns.failing.clear();
        assert.deepEqual([checked.status, checked.sending_verified], ['verified', true]);
        const dkim = checked.records.filter((one) => one.record === 'DKIM');
        assert.deepEqual(new Set(dkim.map((one) => one.status)), new Set(['temporary_failure']));
        assert.equal((await call('POST', '/emails', { body: mail({ from: 'a@steady.dev' }) })).status, 200);
      });

      await t.test('E98 a claim ends after proof, notice and cool-off, and takes the name away', async () => {
        const held = (await call('POST', '/domains', { body: { name: 'held.dev' } })).body;
        publish(dns, held.records);
        assert.equal((await call('POST', `/domains/${held.id}/verify`)).body.status, 'verified');
        const claim = (await theirs('POST', '/domains/claim', { body: { name: 'held.dev' } })).body;
        const verify = async () => (await theirs('POST', `/domains/${claim.domain_id}/claim/verify`)).body;
        assert.equal((await verify()).status, 'pending');
        dns.publish('held.dev', 'TXT', claim.record.value);
        await sleep(1500);
        const proven = await verify();
        assert.deepEqual([proven.status, proven.blocked_reason], ['blocked', 'grace_period'], JSON.stringify(proven));
        assert.equal((await verify()).status, 'blocked');
        // The holder hears of it.
        const notice = await until('the notice', async () => (await call('GET', '/events/log?limit=1000')).body.data
          .find((one) => one.type === 'domain.updated' && one.data.id === held.id && one.data.changed_fields.includes('claim')));
        assert.equal(notice.data.status, 'verified');
        const send = { body: mail({ from: 'a@held.dev', to: 'delivered@resend.dev' }) };
        sql(instance, `UPDATE domain_claims SET blocked_until = 1, next_check_at = 1 WHERE id = '${claim.id}'`);
        await until('it is completed', async () => (await verify()).status === 'completed');
        const lost = (await call('GET', `/domains/${held.id}`)).body;
        assert.deepEqual([lost.status, lost.sending_verified], ['failed', false]);
        const refused = await call('POST', '/emails', send);
        assert.deepEqual([refused.status, refused.body.code], [403, 'domain_not_verified']);
        const gained = (await theirs('GET', `/domains/${claim.domain_id}`)).body;
        assert.ok(gained.records.every((one) => one.record !== 'DKIM' || !held.records.some((old) => old.value === one.value)), 'fresh keys');
        publish(dns, gained.records);
        await sleep(1500);
        assert.equal((await theirs('POST', `/domains/${claim.domain_id}/verify`)).body.status, 'verified');
        assert.equal((await theirs('POST', '/emails', send)).status, 200);
      });
    } finally {
      await instance.destroy();
      dns.stop();
    }
  });
}
