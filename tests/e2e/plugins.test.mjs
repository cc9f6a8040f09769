// A missing or bad plugin is told and contained; the mail waits.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { build, Instance, smtpSink, until } from './support.mjs';

const mail = { from: 'ada@example.dev', to: ['friend@example.com'], subject: 'Hi', text: 'Hello' };

test('without the smtp plugin mail waits with no_route, with it it goes', async () => {
  const instance = await new Instance().prepare();
  const sink = await smtpSink(path.join(instance.folder, 'sink'));
  try {
    instance.env.OPENSEND_TRANSPORT_URL = `smtp://127.0.0.1:${sink.port}?tls=none`;
    instance.run('domains', 'add', 'example.dev', '--i-own-this-domain');
    const key = instance.key();
    await instance.start({ OPENSEND_PLUGINS__ENABLED: 'api_key, memory_limit' });
    const sent = await instance.call('POST', '/emails', { key, body: mail });
    assert.equal(sent.status, 200, sent.text);
    await until('the decision is stored', () => instance.run('explain', sent.body.id).includes('no_route'));
    assert.equal((await instance.call('GET', `/emails/${sent.body.id}`, { key })).body.status, 'queued');
    assert.equal((await instance.call('GET', '/ready')).body.checks.transports, 'warn');
    await instance.stop();
    await instance.start();
    await until('it is sent', async () =>
      (await instance.call('GET', `/emails/${sent.body.id}`, { key })).body.status === 'sent', 40000);
    assert.equal(sink.messages().length, 1);
  } finally {
    await instance.destroy();
    sink.stop();
  }
});

test('bad plugin files are refused one by one while the server runs', async () => {
  const instance = await new Instance().prepare();
  const folder = path.join(instance.folder, 'plugins');
  fs.cpSync(path.join(build, 'plugins'), folder, { recursive: true });
  const copy = (name) => { fs.copyFileSync(path.join(build, 'plugins/capture.so'), path.join(folder, name)); return path.join(folder, name); };
  const patch = (file, from, to) => {
    const bytes = fs.readFileSync(file);
    const at = bytes.indexOf(from);
    assert.ok(at > 0);
    to.copy(bytes, at);
    fs.writeFileSync(file, bytes);
  };
  fs.writeFileSync(path.join(folder, 'garbage.so'), 'this is no shared object');
  fs.truncateSync(copy('cut.so'), 4096);
  fs.chmodSync(copy('open.so'), 0o666);
  fs.symlinkSync(path.join(folder, 'capture.so'), path.join(folder, 'link.so'));
  // The note holds the magic OSP1 and then the major of the interface.
  patch(copy('foreign.so'), Buffer.from('OSP1\x01\x00', 'latin1'), Buffer.from('OSP1\x63\x00', 'latin1'));
  patch(copy('nosymbol.so'), Buffer.from('\0osp_plugin_v1\0', 'latin1'), Buffer.from('\0osp_plugin_xx\0', 'latin1'));
  const bad = ['garbage', 'cut', 'open', 'link', 'foreign', 'nosymbol', 'absent'];
  try {
    instance.env.OPENSEND_PLUGINS__DIR = folder;
    instance.env.OPENSEND_PLUGINS__ENABLED = ['capture', 'api_key', 'memory_limit', ...bad].join(', ');
    const key = instance.key();
    await instance.start();
    assert.equal((await instance.call('GET', '/emails', { key })).status, 200);
    const ready = await instance.call('GET', '/ready');
    assert.equal(ready.status, 200);
    assert.equal(ready.body.checks.plugins, 'warn');
    const problems = instance.log.split('\n').filter((line) => line.includes('plugin.refused')).map((line) => JSON.parse(line));
    const of = (name) => problems.find((line) => line.plugin === name)?.problem;
    for (const name of bad) assert.match(of(name) ?? 'no line', new RegExp(`^${name}: .*expected .*found `), name);
    assert.equal(new Set(bad.map((name) => of(name).replace(name, ''))).size, bad.length, 'each has its own message');
  } finally {
    await instance.destroy();
  }
});

test('a required plugin that is missing refuses the start with exit 78', async () => {
  const instance = await new Instance().prepare();
  instance.env.OPENSEND_PLUGINS__ENABLED = 'capture, memory_limit';
  await assert.rejects(instance.start(), /required plugin/);
  assert.equal((await instance.exited).code, 78);
  await instance.destroy();
});
