// The configuration is read again while mail flows: nothing is lost, nothing comes twice.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { build, Instance, sleep, until } from './support.mjs';

const folders = (instance) => ['first', 'second'].map((name) => path.join(instance.folder, name));
const configFile = (instance) => path.join(instance.folder, 'opensend.properties');

/** Configuration by file, so that it can be exchanged. */
async function prepared(lines) {
  const instance = await new Instance().prepare();
  fs.writeFileSync(configFile(instance), lines(instance).join('\n') + '\n');
  instance.run('--config', configFile(instance), 'domains', 'add', 'example.dev', '--i-own-this-domain');
  return instance;
}
const start = (instance) => instance.start({}, ['--config', configFile(instance)]);
/** A command with JSON output, while the rest of the test goes on. */
const ask = (instance, ...args) => new Promise((done, fail) => {
  execFile(path.join(build, 'bin/opensend'), ['--config', configFile(instance), '--json', ...args],
    { cwd: instance.folder, env: instance.environment(), maxBuffer: 1 << 24 },
    (error, stdout) => { try { done(JSON.parse(stdout)); } catch { fail(error ?? new Error(stdout)); } });
});
const reload = (instance) => ask(instance, 'plugins', 'reload');
const list = (instance) => ask(instance, 'plugins', 'list');
const transport = async (instance, name = 'main') =>
  (await list(instance)).instances.find((one) => one.name === `transport.${name}`);
const metrics = async (instance) => (await fetch(`http://127.0.0.1:${instance.adminPort}/metrics`)).text();

function messages(folder) {
  const place = path.join(folder, 'new');
  return fs.existsSync(place)
    ? fs.readdirSync(place).map((name) => fs.readFileSync(path.join(place, name), 'latin1')) : [];
}
const capture = (folder) => [`transport.names = main`, `transport.main.plugin = capture`,
  `transport.main.config.path = ${folder}`];

test('2,000 messages pass while the transport is exchanged 20 times', async () => {
  const instance = await prepared((one) => capture(folders(one)[0]));
  const [first, second] = folders(instance);
  try {
    const key = instance.key();
    await start(instance);
    const total = 2000;
    let next = 0;
    const accepted = [];
    const sender = async () => {
      while (next < total) {
        const number = next++;
        // A client that is told to come back does, with the key that makes it safe.
        const send = () => instance.call('POST', '/emails', { key, headers: { 'Idempotency-Key': `n${number}` }, body: {
          from: 'ada@example.dev', to: ['friend@example.com'], subject: `number-${number}-`, text: 'Hello',
        } });
        let answer = await send();
        for (let again = 0; answer.status === 503 && again < 5; ++again) answer = await send();
        assert.equal(answer.status, 200, answer.text);
        accepted.push(number);
      }
    };
    const senders = Array.from({ length: 8 }, sender);
    for (let i = 0; i < 20; ++i) {
      await until('mail flows', () => accepted.length >= i * 95);
      fs.writeFileSync(configFile(instance), capture(i % 2 === 0 ? second : first).join('\n') + '\n');
      if (i % 4 === 0) {
        instance.child.kill('SIGHUP');
        await until('the signal was followed', async () => (await transport(instance)).generation === i + 2);
      } else {
        const report = await reload(instance);
        assert.equal(report.ok, true, JSON.stringify(report));
        assert.equal(report.plugins.find((one) => one.name === 'capture').result, 'replaced');
      }
    }
    await Promise.all(senders);
    assert.equal(accepted.length, total);
    const seen = () => [...messages(first), ...messages(second)];
    await until('all of them are delivered', () => seen().length >= total, 90000);
    await sleep(500);
    const numbers = seen().map((text) => Number(/number-(\d+)-/.exec(text)[1]));
    assert.equal(numbers.length, total, 'none twice');
    assert.equal(new Set(numbers).size, total, 'none lost');
    assert.ok(messages(first).length > 0 && messages(second).length > 0, 'both have served');
    const status = await transport(instance);
    assert.equal(status.state, 'running');
    assert.equal(status.generation, 21);
    assert.equal(status.errors + status.late + status.double, 0);
    assert.match(await metrics(instance), /opensend_plugin_instance_state\{instance="transport.main",state="running"\} 1/);
  } finally {
    await instance.destroy();
  }
});

test('a bad configuration keeps the old one and says why', async () => {
  const instance = await prepared((one) => capture(folders(one)[0]));
  const [first] = folders(instance);
  try {
    const key = instance.key();
    await start(instance);
    const send = async () => assert.equal((await instance.call('POST', '/emails', { key, body: {
      from: 'ada@example.dev', to: ['friend@example.com'], subject: 'Hi', text: 'Hello' } })).status, 200);
    await send();
    await until('it is delivered', () => messages(first).length === 1);
    fs.writeFileSync(configFile(instance), 'no.such.key = 1\n' + capture(first).join('\n') + '\n');
    assert.throws(() => instance.run('--config', configFile(instance), 'plugins', 'reload'), { status: 78 });
    instance.child.kill('SIGHUP');
    await until('the server says why', () => /reload\.refused.*no\.such\.key: unknown_key/.test(instance.log));
    fs.writeFileSync(path.join(instance.folder, 'file'), 'no folder');
    fs.writeFileSync(configFile(instance), capture(path.join(instance.folder, 'file')).join('\n') + '\n');
    const kept = await reload(instance);
    assert.equal(kept.ok, false);
    assert.equal(kept.plugins.find((one) => one.name === 'capture').result, 'kept');
    assert.match(kept.problems[0], /^plugins: transport\.main: /);
    await send();
    await until('the old one delivers', () => messages(first).length === 2);
    const status = await transport(instance);
    assert.equal(status.generation, 1);
    assert.equal(status.state, 'running');
  } finally {
    await instance.destroy();
  }
});

test('groups and transports come and go with a reload', async () => {
  const lines = (one) => [...capture(folders(one)[0]),
    'group.default.members = main:100:1'];
  const instance = await prepared(lines);
  const [first, second] = folders(instance);
  try {
    const key = instance.key();
    await start(instance);
    fs.writeFileSync(configFile(instance), [
      'transport.names = main, extra',
      'transport.main.plugin = capture', `transport.main.config.path = ${first}`,
      'transport.extra.plugin = capture', `transport.extra.config.path = ${second}`,
      'group.default.members = extra:100:1', 'log.level = warn',
    ].join('\n') + '\n');
    assert.equal((await reload(instance)).ok, true);
    const body = { from: 'ada@example.dev', to: ['friend@example.com'], subject: 'Hi', text: 'Hello' };
    await instance.call('POST', '/emails', { key, body });
    await until('the new member delivers', () => messages(second).length === 1);
    fs.writeFileSync(configFile(instance), lines(instance).join('\n') + '\n');
    assert.equal((await reload(instance)).ok, true);
    assert.equal(await transport(instance, 'extra'), undefined);
    await instance.call('POST', '/emails', { key, body });
    await until('the old member delivers again', () => messages(first).length === 1);
  } finally {
    await instance.destroy();
  }
});

test('the admin listener shows health and metrics, the socket is its owner\'s', async () => {
  const instance = await prepared((one) => capture(folders(one)[0]));
  try {
    await start(instance);
    const admin = (route, headers = {}) => fetch(`http://127.0.0.1:${instance.adminPort}${route}`, { headers });
    assert.equal((await admin('/health')).status, 200);
    assert.equal((await (await admin('/ready')).json()).status, 'ready');
    const answer = await admin('/metrics');
    assert.equal(answer.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
    const text = await answer.text();
    for (const line of [/^opensend_plugin_up\{plugin="capture"\} 1$/m, /^opensend_breaker_state\{transport="main"\} 0$/m,
      /^opensend_plugin_instance_info\{instance="transport.main",plugin="capture",version="[^"]+",isolation="inproc",grants=""\} 1$/m,
      /^opensend_build_info\{/m, /^opensend_up_roles\{role="api"\} 1$/m]) assert.match(text, line);
    assert.equal((await admin('/emails')).status, 404);
    assert.equal((await instance.call('GET', '/metrics')).status, 404, 'not on the public listener');
    const socket = fs.statSync(path.join(instance.folder, 'data/control.sock'));
    assert.equal(socket.mode & 0o777, 0o600);
    const shown = instance.run('--config', configFile(instance), 'plugins', 'list');
    assert.match(shown, /running {2}transport\.main {2}capture/);
    await instance.stop();
    assert.match(instance.run('--config', configFile(instance), 'plugins', 'list'), /up {4}capture/);
    assert.throws(() => instance.run('--config', configFile(instance), 'plugins', 'reload'), /no server runs/);
    await instance.start({ OPENSEND_ADMIN__METRICS_TOKEN: 'a-token-for-the-metrics-of-this-test' }, ['--config', configFile(instance)]);
    assert.equal((await admin('/metrics')).status, 401);
    assert.equal((await admin('/metrics', { Authorization: 'Bearer a-token-for-the-metrics-of-this-test' })).status, 200);
  } finally {
    await instance.destroy();
  }
});

test('a plugin that changes the message is stopped before the next one', async () => {
  const instance = await prepared(() => ['plugins.enabled = api_key, memory_limit, bad_change',
    'plugins.bad_change.isolation = inproc', 'transport.names = main', 'transport.main.plugin = bad_change']);
  const folder = path.join(instance.folder, 'plugins');
  fs.cpSync(path.join(build, 'plugins'), folder, { recursive: true });
  fs.copyFileSync(path.join(build, 'plugins_bad/bad_change.so'), path.join(folder, 'bad_change.so'));
  instance.env.OPENSEND_PLUGINS__DIR = folder;
  try {
    const key = instance.key();
    await start(instance);
    const sent = await instance.call('POST', '/emails', { key, body: {
      from: 'ada@example.dev', to: ['friend@example.com'], subject: 'Hi', text: 'Hello' } });
    await until('the instance is taken out', async () => (await transport(instance)).state === 'violation');
    await until('it is in the log', () => instance.log.includes('"plugin.violation"'));
    await until('the message is kept for later', async () =>
      (await instance.call('GET', `/emails/${sent.body.id}`, { key })).body.status === 'deferred');
    const again = await instance.call('POST', '/emails', { key, body: {
      from: 'ada@example.dev', to: ['friend@example.com'], subject: 'Hi', text: 'Hello' } });
    await until('the second one waits', () => instance.run('explain', again.body.id).includes('transport_circuit_open'));
  } finally {
    await instance.destroy();
  }
});
