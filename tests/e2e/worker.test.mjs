// Plugins of third parties run in processes of their own. Those are killed and die while mail is
// sent: the server stays up, and every message is accounted for.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import test from 'node:test';
import { build, Instance, sleep, until } from './support.mjs';

/** Ids of the server's worker processes. */
function workers(server) {
  const pids = [];
  for (const thread of fs.readdirSync(`/proc/${server}/task`)) {
    let children = '';
    try { children = fs.readFileSync(`/proc/${server}/task/${thread}/children`, 'utf8'); } catch { continue; }
    pids.push(...children.split(' ').filter(Boolean).map(Number));
  }
  return pids;
}
const alive = (pid) => fs.existsSync(`/proc/${pid}`);

/** A web service that takes messages: how often each number came. */
async function service() {
  const seen = new Map();
  const server = http.createServer((request, response) => {
    let text = '';
    request.on('data', (chunk) => { text += chunk; });
    request.on('end', () => {
      const number = Number(/number-(\d+)-/.exec(text)?.[1]);
      seen.set(number, (seen.get(number) ?? 0) + 1);
      response.end('{}');
    });
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return { seen, origin: `http://127.0.0.1:${server.address().port}`, stop: () => { server.closeAllConnections(); server.close(); } };
}

/** A server whose transport is the relay to that service; `lines` are added to the configuration. */
async function prepared(origin, lines = []) {
  const instance = await new Instance().prepare();
  const folder = path.join(instance.folder, 'plugins');
  fs.cpSync(path.join(build, 'plugins'), folder, { recursive: true });
  for (const name of ['http_relay', 'hostile']) {
    fs.copyFileSync(path.join(build, `plugins_bad/${name}.so`), path.join(folder, `${name}.so`));
    fs.chmodSync(path.join(folder, `${name}.so`), 0o644);
  }
  instance.env.OPENSEND_PLUGINS__DIR = folder;
  instance.file = path.join(instance.folder, 'opensend.properties');
  instance.configure = (more) => fs.writeFileSync(instance.file, [
    'plugins.enabled = api_key, memory_limit, http_relay', `plugins.http_relay.grants.http = ${origin}`,
    ...(more.some((line) => line.startsWith('transport.names')) ? [] : ['transport.names = relay']), 'transport.relay.plugin = http_relay', `transport.relay.config.url = ${origin}/send`,
    'send.unknown_policy = hold', ...more].join('\n') + '\n');
  instance.configure(lines);
  instance.ours = ['--config', instance.file];
  instance.run(...instance.ours, 'domains', 'add', 'example.dev', '--i-own-this-domain');
  // Never waited for with the event loop stopped: the service answers in this process.
  instance.ask = (...args) => new Promise((done, fail) => {
    execFile(path.join(build, 'bin/opensend'), [...instance.ours, '--json', ...args],
      { cwd: instance.folder, env: instance.environment() },
      (error, stdout) => { try { done(JSON.parse(stdout)); } catch { fail(error ?? new Error(stdout)); } });
  });
  instance.find = async (name) =>
    (await instance.ask('plugins', 'list')).instances.find((one) => one.name === `transport.${name}`);
  instance.relay = () => instance.find('relay');
  return instance;
}

/** Sends `total` messages with four senders; their ids in order of their numbers. */
async function sendAll(instance, key, total) {
  const ids = [];
  let next = 0;
  await Promise.all(Array.from({ length: 4 }, async () => {
    while (next < total) {
      const number = next++;
      // A client that is told to come back does, with the key that makes it safe.
      const send = () => instance.call('POST', '/emails', { key, headers: { 'Idempotency-Key': `n${number}` }, body: {
        from: 'ada@example.dev', to: ['friend@example.com'], subject: `number-${number}-`, text: 'Hello' } });
      let answer = await send();
      for (let again = 0; answer.status === 503 && again < 5; ++again) answer = await send();
      assert.equal(answer.status, 200, answer.text);
      ids[number] = answer.body.id;
    }
  }));
  return ids;
}

/** Waits until no message is on its way; state by number. */
async function settled(instance, key, ids, time = 120000) {
  const states = [];
  const done = (state) => state === 'sent' || state === 'unknown';
  await until('every message is sent or its outcome unknown', async () => {
    for (let i = 0; i < ids.length; ++i) {
      if (!done(states[i])) states[i] = (await instance.call('GET', `/emails/${ids[i]}`, { key })).body.status;
    }
    return states.every(done);
  }, time);
  return states;
}

/** Accepted is delivered plus queued: nothing is lost, and nothing came twice. */
function reconcile(states, seen) {
  for (const [number, state] of states.entries()) {
    if (state === 'sent') assert.equal(seen.get(number), 1, `number ${number} was sent once`);
    assert.ok((seen.get(number) ?? 0) <= 1, `number ${number} came at most once`);
  }
  assert.ok([...seen.keys()].every((number) => states[number] !== undefined));
}

test('400 messages through a worker that is killed again and again', async () => {
  const sink = await service();
  const instance = await prepared(sink.origin);
  try {
    const key = instance.key();
    await instance.start({}, instance.ours);
    const first = await until('a worker runs', () => workers(instance.child.pid)[0]);
    assert.equal(fs.readFileSync(`/proc/${first}/environ`, 'utf8'), 'LC_ALL=C.UTF-8\0');
    assert.equal((await instance.relay()).isolation, 'worker');
    assert.deepEqual((await instance.relay()).worker.pids, [first]);

    let over = false;
    let kills = 0;
    const killer = (async () => {
      while (!over) {
        for (const pid of workers(instance.child.pid)) {
          try { process.kill(pid, 'SIGKILL'); kills += 1; } catch { /* it is gone already */ }
        }
        await sleep(500);
      }
    })();
    const ids = await sendAll(instance, key, 400);
    await sleep(1500);
    over = true;
    await killer;
    const states = await settled(instance, key, ids);
    reconcile(states, sink.seen);
    assert.ok(kills >= 2, `it was killed: ${kills}`);
    assert.ok(states.filter((state) => state === 'sent').length > 200);
    assert.equal(instance.child.exitCode, null);
    const relay = await instance.relay();
    assert.ok(relay.worker.deaths >= 2);
    assert.equal(relay.state, 'running');
    if (!process.env.ASAN_OPTIONS) assert.equal(relay.worker.last_death, 'killed by SIGKILL');
    assert.match(instance.run(...instance.ours, 'plugins', 'list'), /worker {2}pid \d+ {2}memory \d+ MiB {2}starts \d+ {2}deaths \d+ \(/);
    const metrics = await (await fetch(`http://127.0.0.1:${instance.adminPort}/metrics`)).text();
    assert.match(metrics, /^opensend_plugin_worker_processes\{instance="transport.relay"\} 1$/m);
    assert.match(metrics, /^opensend_plugin_worker_events_total\{instance="transport.relay",event="death"\} [1-9]/m);
    const left = workers(instance.child.pid);
    await instance.stop();
    await until('no worker is left', () => !left.some(alive));
  } finally {
    await instance.destroy();
    sink.stop();
  }
});

test('a worker that dies by itself rests, and mail goes on by another transport', async () => {
  const sink = await service();
  const instance = await prepared(sink.origin);
  instance.configure(['transport.names = relay, other', 'transport.relay.config.die_every = 3',
    'transport.other.plugin = http_relay', `transport.other.config.url = ${sink.origin}/send`,
    'group.default.members = relay:100:1, other:100:2']);
  try {
    const key = instance.key();
    await instance.start({}, instance.ours);
    const ids = await sendAll(instance, key, 120);
    const states = await settled(instance, key, ids);
    reconcile(states, sink.seen);
    const unknown = states.filter((state) => state === 'unknown').length;
    const [relay, other] = [await instance.relay(), await instance.find('other')];
    assert.ok(relay.worker.deaths >= 1, `deaths: ${relay.worker.deaths}`);
    assert.equal(unknown, relay.worker.indeterminate);
    assert.equal(other.worker.deaths, 0);
    assert.ok(other.calls > 0);
  } finally {
    await instance.destroy();
    sink.stop();
  }
});

test('isolation is exchanged by a reload while mail flows', async () => {
  const sink = await service();
  const instance = await prepared(sink.origin);
  try {
    const key = instance.key();
    await instance.start({}, instance.ours);
    let ids;
    const sending = sendAll(instance, key, 300).then((all) => { ids = all; });
    for (const place of ['inproc', 'worker', 'inproc', 'worker']) {
      const before = workers(instance.child.pid);
      instance.configure([`plugins.http_relay.isolation = ${place}`, 'plugins.http_relay.memory = 300MiB']);
      if (place === 'inproc') await instance.ask('plugins', 'reload');
      else instance.child.kill('SIGHUP');
      await until(`it runs as ${place}`, async () => (await instance.relay()).isolation === place);
      assert.equal((await instance.relay()).worker !== undefined, place === 'worker');
      await until('the process before is gone', () => !before.some(alive));
    }
    await sending;
    const states = await settled(instance, key, ids);
    reconcile(states, sink.seen);
    assert.equal(states.filter((state) => state === 'sent').length, 300);
    // What does not work there is refused, and the old one goes on.
    instance.configure(['plugins.http_relay.sha256 = ' + '0'.repeat(64)]);
    assert.equal((await instance.ask('plugins', 'reload')).ok, false);
    assert.equal((await instance.relay()).state, 'running');
  } finally {
    await instance.destroy();
    sink.stop();
  }
});

test('workers end with a server that is killed', async () => {
  const instance = await new Instance().prepare();
  try {
    Object.assign(instance.env, {
      OPENSEND_TRANSPORT_URL: 'capture:///',
      OPENSEND_PLUGINS__MEMORY_LIMIT__ISOLATION: 'worker',
      OPENSEND_PLUGINS__API_KEY__ISOLATION: 'worker',
    });
    instance.run('domains', 'add', 'example.dev', '--i-own-this-domain');
    const key = instance.key();
    await instance.start();
    const pids = await until('the workers run', () => {
      const all = workers(instance.child.pid);
      return all.length === 2 && all;
    });
    const answer = await instance.call('POST', '/emails', { key, body: {
      from: 'ada@example.dev', to: ['friend@example.com'], subject: 'Hi', text: 'Hello' } });
    assert.equal(answer.status, 200, 'limiter and authenticator answer from their processes');
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await until('others took over', async () => (await instance.call('GET', '/emails', { key })).status === 200);
    const next = workers(instance.child.pid);
    await instance.stop('SIGKILL');
    await until('no worker is left', () => ![...pids, ...next].some(alive));
  } finally {
    await instance.destroy();
  }
});
