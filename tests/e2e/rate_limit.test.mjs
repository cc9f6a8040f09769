// The rate limiter as clients and operators meet it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { build, freePort, Instance, sleep, until } from './support.mjs';

const mail = (n = 1) => ({
  from: 'Ada <ada@example.dev>',
  to: Array.from({ length: n }, (_, i) => `delivered+${i}@opensend.test`),
  subject: 'Hi',
  text: 'Hello',
});
const numbers = (bucket, rate, burst) => {
  const name = `OPENSEND_RATELIMIT__${bucket.replace('.', '__').toUpperCase()}`;
  return { [`${name}__RATE`]: rate, [`${name}__BURST`]: String(burst) };
};
const limit = (answer) => ({
  limit: Number(answer.headers.get('ratelimit-limit')),
  remaining: Number(answer.headers.get('ratelimit-remaining')),
  reset: Number(answer.headers.get('ratelimit-reset')),
  backend: answer.headers.get('x-ratelimit-backend'),
});
const isDenied = (answer, bucket) => {
  assert.equal(answer.status, 429, answer.text);
  assert.equal(answer.body.name, 'rate_limit_exceeded');
  assert.equal(answer.body.details.bucket, bucket);
  const wait = Number(answer.headers.get('retry-after'));
  assert.ok(wait >= 1);
  assert.equal(answer.body.details.retry_after, wait);
  assert.match(answer.body.message, new RegExp(`retry in ${wait} seconds`));
  return wait;
};
const audits = (instance, action) => instance.run('audit', 'export').split('\n').filter((line) => line)
  .filter((line) => line.includes(`"${action}"`));

async function ready(options = {}) {
  const instance = await new Instance({ ...options, watched: false }).prepare();
  instance.run('domains', 'add', 'example.dev', '--i-own-this-domain');
  return instance;
}

for (const database of ['sqlite', 'postgres']) {
  test(`requests pay for what they do, on ${database}`, async (t) => {
    const instance = await ready({ database, env: {
      ...numbers('key.api', '20/s', 60), ...numbers('org.api', '50/s', 300), ...numbers('org.send', '1/h', 200),
      ...numbers('org.export', '1/h', 2), ...numbers('addr.authfail', '1/h', 3), ...numbers('addr.anon', '1/h', 2),
    } });
    const key = instance.key();
    const send = (body, options = {}) => instance.call('POST', '/emails', { key, body, ...options });
    // Each part has a key of its own, so that the numbers are its own.
    try {
      await instance.start();

      await t.test('what is left falls, a denial says how long, and waiting that long is enough', async () => {
        const own = instance.key('--name', 'own');
        instance.run('keys', 'limits', instance.run('keys', 'list').split('\n').find((l) => / own /.test(l)).split(' ')[0],
          '--bucket', 'key.api=1/s:2');
        const get = () => instance.call('GET', '/emails', { key: own });
        const first = await get();
        assert.deepEqual(limit(first), { limit: 2, remaining: 1, reset: 1, backend: 'memory' });
        assert.equal(limit(await instance.call('GET', '/api/emails', { key: own })).remaining, 0);
        const denied = await get();
        const wait = isDenied(denied, 'key.api');
        assert.equal(wait, 1);
        assert.deepEqual(limit(denied), { limit: 2, remaining: 0, reset: 2, backend: 'memory' });
        assert.match(denied.headers.get('x-request-id'), /^req_/);
        await sleep(wait * 1000);
        assert.equal((await get()).status, 200);
        // A denied request has paid nothing of the other bucket either.
        assert.equal((await instance.call('GET', '/emails', { key })).status, 200);
      });

      await t.test('fifty recipients are fifty units; what is refused or replayed is none', async () => {
        const sent = await send(mail(50), { headers: { 'Idempotency-Key': 'fifty' } });
        assert.equal(sent.status, 200, sent.text);
        assert.equal((await send({ ...mail(), from: 'no address' })).status, 422);
        // A file where the folder of large parts should be: what was paid comes back.
        const blobs = path.join(instance.folder, 'data/blobs');
        if (fs.existsSync(blobs)) fs.renameSync(blobs, `${blobs}.kept`);
        fs.writeFileSync(blobs, '');
        const content = Buffer.alloc(100_000, 'x').toString('base64');
        for (let i = 0; i < 5; ++i) {
          const failed = await send({ ...mail(50), attachments: [{ filename: 'a.txt', content }] });
          assert.ok(failed.status >= 500, failed.text);
        }
        fs.rmSync(blobs);
        if (fs.existsSync(`${blobs}.kept`)) fs.renameSync(`${blobs}.kept`, blobs);
        assert.equal((await send({ ...mail(), from: 'a@elsewhere.dev' })).status, 403);
        const again = await send(mail(50), { headers: { 'Idempotency-Key': 'fifty' } });
        assert.equal(again.headers.get('idempotency-replayed'), 'true');
        assert.equal(again.text, sent.text);
        assert.equal((await send({ ...mail(50), subject: 'other' }, { headers: { 'Idempotency-Key': 'fifty' } })).status, 409);
        const batch = await instance.call('POST', '/emails/batch', { key, body: [mail(50), mail(49)] });
        assert.equal(batch.status, 200, batch.text);
        // 149 of 200 are gone.
        const last = await send(mail(50));
        assert.equal(last.status, 200, last.text);
        assert.deepEqual([limit(last).limit, limit(last).remaining], [200, 1]);
        const denied = await send(mail(2));
        assert.ok(isDenied(denied, 'org.send') > 1000);
        assert.equal((await send(mail(1))).status, 200);
        assert.equal((await instance.call('GET', '/emails', { key })).status, 200);
      });

      await t.test('numbers of an organization change within a second', async () => {
        isDenied(await send(mail(2)), 'org.send');
        const shown = instance.run('orgs', 'limits', 'default', '--bucket', 'org.send=1000/s:5000');
        assert.equal(shown, 'org.send  1000/s  burst 5000\n');
        await until('more units', async () => (await send(mail(2))).status === 200, 1900);
        assert.equal(audits(instance, 'organization.updated').length, 1);
        assert.deepEqual(JSON.parse(instance.run('--json', 'orgs', 'limits', 'default')), { 'org.send': { rate: '1000/s', burst: 5000 } });
        assert.equal(instance.run('orgs', 'limits', 'default', '--default', 'org.send'), '');
        for (const bad of ['org.send=1/s', 'addr.anon=1/s:1', 'org.send=1/x:5', 'org.send=1/s:0', 'org.send=1/s:99999999', 'org.send']) {
          assert.throws(() => execFileSync(path.join(build, 'bin/opensend'), ['orgs', 'limits', 'default', '--bucket', bad],
            { cwd: instance.folder, env: instance.environment(), stdio: 'pipe' }));
        }
        assert.equal(audits(instance, 'organization.updated').length, 2);
      });

      await t.test('exports and imports have a bucket of their own', async () => {
        assert.equal((await instance.call('POST', '/suppressions/import', { key, body: { csv: 'email\na@b.dev\n' } })).status < 300, true);
        const csv = await fetch(`${instance.base}/suppressions/export`, { headers: { Authorization: `Bearer ${key}` } });
        assert.equal(csv.status, 200);
        assert.equal(csv.headers.get('ratelimit-limit'), '2');
        await csv.text();
        isDenied(await instance.call('GET', '/suppressions/export', { key }), 'org.export');
      });

      await t.test('public routes count by address, health does not', async () => {
        const open = () => instance.call('GET', '/.well-known/opensend-key-format.json');
        assert.equal(limit(await open()).remaining, 1);
        await open();
        isDenied(await open(), 'addr.anon');
        for (let i = 0; i < 5; ++i) {
          const health = await instance.call('GET', '/health');
          assert.equal(health.status, 200);
          assert.equal(health.headers.get('x-ratelimit-backend'), null);
        }
      });

      await t.test('guessing ends at 429 and the right key still works', async () => {
        const guess = (headers = {}) => instance.call('GET', '/emails', { key: 'os_000000000000000000000000000000000000000000003nb7gz', headers });
        const statuses = [];
        for (let i = 0; i < 5; ++i) statuses.push((await guess()).status);
        assert.deepEqual(statuses, [403, 403, 403, 429, 429]);
        isDenied(await guess({ 'X-Forwarded-For': '198.51.100.1' }), 'addr.authfail');
        isDenied(await instance.call('GET', '/emails'), 'addr.authfail');
        assert.equal((await instance.call('GET', '/emails', { key })).status, 200);
      });
    } finally {
      await instance.destroy();
    }
  });
}

test('a trusted proxy names the client, nobody else does', async () => {
  const instance = await ready({ env: {
    ...numbers('addr.anon', '1/h', 1), OPENSEND_NET__TRUSTED_PROXIES: '127.0.0.0/8, fd00::/8',
  } });
  const open = async (headers) => (await instance.call('GET', '/.well-known/opensend-key-format.json', { headers })).status;
  try {
    await instance.start();
    assert.equal(await open({ 'X-Forwarded-For': '198.51.100.1' }), 200);
    assert.equal(await open({ 'X-Forwarded-For': '203.0.113.9, ::ffff:198.51.100.1, fd00::7' }), 429);
    assert.equal(await open({ 'X-Forwarded-For': '[2001:db8:0:1::5]:443' }), 200);
    assert.equal(await open({ Forwarded: 'for="[2001:db8:0:1::6]:99";proto=https' }), 429);
    assert.equal(await open({ Forwarded: 'for="[2001:db8:0:2::6]"' }), 200);
    assert.equal(await open({ 'X-Real-IP': '2001:db8:0:2:ffff::1' }), 429);
    assert.equal(await open({ 'X-Real-IP': '192.0.2.5' }), 200);
    assert.equal(await open({}), 200);
    assert.equal(await open({ 'X-Forwarded-For': 'nonsense' }), 429);
  } finally {
    await instance.destroy();
  }
});

test('without limits only failed credentials are counted', async () => {
  const instance = await ready({ env: {
    RATE_LIMIT_BACKEND: 'disabled', ...numbers('key.api', '1/h', 1), ...numbers('addr.authfail', '1/h', 1),
  } });
  const key = instance.key();
  try {
    await instance.start();
    for (let i = 0; i < 3; ++i) {
      const answer = await instance.call('GET', '/emails', { key });
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.get('x-ratelimit-backend'), 'disabled');
      assert.equal(answer.headers.get('ratelimit-limit'), null);
    }
    assert.equal((await instance.call('GET', '/emails', { key: 'bad' })).status, 403);
    isDenied(await instance.call('GET', '/emails', { key: 'bad' }), 'addr.authfail');
    assert.equal((await instance.call('GET', '/ready')).body.checks.rate_limit, 'warn');
  } finally {
    await instance.destroy();
  }
});

test('two processes on one PostgreSQL that count apart say so', async () => {
  const instance = await ready({ database: 'postgres' });
  const second = Object.assign(new Instance(), {
    databaseUrl: instance.databaseUrl, port: await freePort(), adminPort: await freePort(),
  });
  second.base = `http://127.0.0.1:${second.port}`;
  second.env = { ...instance.env };
  const check = async (one) => (await one.call('GET', '/ready')).body.checks.rate_limit;
  try {
    await instance.start();
    assert.equal(await check(instance), 'ok');
    await second.start({}, ['--roles', 'api']);
    assert.equal(await check(second), 'warn');
    assert.match(second.log, /"ratelimit.per_process"|ratelimit\.per_process/);
    await until('the first one knows', async () => (await check(instance)) === 'warn', 8000);
    await second.stop();
    await until('the first one is alone', async () => (await check(instance)) === 'ok', 8000);
    await instance.stop();
    await instance.start({ OPENSEND_APP_REPLICAS: '2' });
    assert.equal(await check(instance), 'warn');
    assert.match(instance.log, /counted by each of the processes apart/);
  } finally {
    await second.destroy();
    await instance.destroy();
  }
});

for (const [policy, database] of [['local', 'postgres'], ['open', 'sqlite'], ['closed', 'sqlite']]) {
  test(`when the store of the limits fails, ${policy} holds`, async () => {
    const instance = await ready({ database });
    const folder = path.join(instance.folder, 'plugins');
    const mood = path.join(instance.folder, 'mood');
    fs.cpSync(path.join(build, 'plugins'), folder, { recursive: true });
    fs.copyFileSync(path.join(build, 'plugins_bad/flaky.so'), path.join(folder, 'flaky.so'));
    Object.assign(instance.env, {
      OPENSEND_PLUGINS__DIR: folder,
      OPENSEND_PLUGINS__ENABLED: 'capture, api_key, memory_limit, flaky',
      // It reads its mood from a file, which it could not in a process of its own.
      OPENSEND_PLUGINS__FLAKY__ISOLATION: 'inproc',
      OPENSEND_PLUGINS__FLAKY__CONFIG__MOOD: mood,
      RATE_LIMIT_BACKEND: 'flaky',
      OPENSEND_RATELIMIT__ON_STORE_FAILURE: policy,
      ...numbers('key.api', '1/h', 2), ...numbers('addr.authfail', '1/h', 2),
    });
    const key = instance.key();
    const get = (options = { key }) => instance.call('GET', '/emails', options);
    try {
      await instance.start();
      for (let i = 0; i < 3; ++i) assert.equal(limit(await get()).backend, 'flaky');
      assert.equal((await instance.call('GET', '/ready')).body.checks.rate_limit, 'ok');
      for (const how of ['down', 'hang', 'throw']) {
        fs.writeFileSync(mood, how);
        const answers = [await get(), await get(), await get()];
        if (policy === 'local') {
          for (const answer of answers) assert.equal(limit(answer).backend, 'local');
          if (how === 'down') assert.deepEqual(answers.map((a) => a.status), [200, 200, 429]);
        } else if (policy === 'open') {
          for (const answer of answers) assert.deepEqual([answer.status, limit(answer).backend], [200, 'disabled']);
        } else {
          for (const answer of answers) {
            assert.equal(answer.status, 503, answer.text);
            assert.equal(answer.body.name, 'service_unavailable');
            assert.equal(answer.body.code, 'rate_limit_unavailable');
            assert.equal(answer.headers.get('retry-after'), '5');
          }
        }
        assert.equal((await instance.call('GET', '/ready')).body.checks.rate_limit, 'warn');
        // Credentials stay protected whatever the policy is.
        if (how === 'down') {
          assert.deepEqual([(await get({ key: 'bad' })).status, (await get({ key: 'bad' })).status], [403, 403]);
        }
        isDenied(await get({ key: 'bad' }), 'addr.authfail');
        fs.rmSync(mood);
        await until('the store is asked again', async () => limit(await get()).backend === 'flaky', 8000);
      }
      await until('the audit log has it', () => audits(instance, 'rate_limit.recovered').length === 3, 2000);
      assert.equal(audits(instance, 'rate_limit.store_failed').length, 3);
      assert.match(instance.log, /ratelimit\.store_failed/);
      assert.match(instance.run('audit', 'verify'), /intact/);
      if (policy === 'local') {
        // The plugin has a share of its own.
        fs.writeFileSync(mood, 'degraded');
        for (let i = 0; i < 3; ++i) assert.deepEqual([(await get()).status, limit(await get()).backend], [200, 'local']);
      }
      if (policy === 'closed') {
        fs.writeFileSync(mood, 'degraded');
        assert.equal((await get()).body.code, 'rate_limit_unavailable');
      }
    } finally {
      await instance.destroy();
    }
  });
}
