// The walk-through of contrib/doc/first_plugin.md is done from the first block to the last, and a project
// of `plugins new` delivers mail in each language.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { build, freePort, Instance, smtpSink, until } from './support.mjs';

const source = path.resolve(import.meta.dirname, '../..');
const sanitizers = Object.fromEntries(['ASAN_OPTIONS', 'LSAN_OPTIONS', 'UBSAN_OPTIONS', 'TSAN_OPTIONS']
  .map((name) => [name, process.env[name] ?? '']));
const sh = (script, cwd, env = {}) => spawnSync('bash', ['-euo', 'pipefail', '-c', script],
  { cwd, encoding: 'utf8', timeout: 300000, stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env.PATH, HOME: cwd, ...sanitizers, ...env } });

test('the walk-through for a first plugin works as it is written', async () => {
  const text = fs.readFileSync(path.join(source, 'contrib/doc/first_plugin.md'), 'utf8');
  const blocks = [...text.matchAll(/^```sh run\n([\s\S]*?)^```$/gm)].map((match) => match[1]);
  assert.ok(blocks.length >= 8, 'the blocks are found');
  let script = 'trap \'kill $(jobs -p) 2>/dev/null || true\' EXIT\n' + blocks.join('\n');
  for (const port of ['2525', '3015', '3017']) script = script.replaceAll(port, String(await freePort()));
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'opensend-first-'));
  try {
    const done = sh(`${script}\nwait\n`, folder, { OPENSEND_BUILD: build });
    const log = path.join(folder, 'first-plugin/server.log');
    const all = `${done.stdout}\n${done.stderr}\n${fs.existsSync(log) ? fs.readFileSync(log, 'utf8') : ''}`;
    assert.equal(done.status, 0, all);
    assert.match(done.stdout, /^Subject: From my own plugin/m, all);
    assert.match(done.stdout, /It works\./);
    assert.match(done.stdout, /acme +com\.example\.acme 0\.1\.0/, all);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
});

for (const lang of ['cpp', 'c', 'rust']) {
  test(`an unchanged transport in ${lang} delivers mail once three lines enable it`, async () => {
    const instance = await new Instance().prepare();
    const sink = await smtpSink(path.join(instance.folder, 'sink'));
    try {
      const sdk = path.join(instance.folder, 'sdk');
      const project = path.join(instance.folder, 'acme');
      const made = sh(`cmake --install ${build} --component sdk --prefix ${sdk}
        ${build}/bin/opensend plugins new --lang ${lang} acme
        cd acme
        ${lang === 'rust' ? 'make' : `cmake -B build && cmake --build build --target acme && cp build/acme.so .`}`,
      instance.folder, { CMAKE_PREFIX_PATH: sdk, PKG_CONFIG_PATH: `${sdk}/lib/pkgconfig`,
        RUSTC: fs.existsSync('/usr/bin/rustc') ? '/usr/bin/rustc' : 'rustc', HOME: process.env.HOME });
      assert.equal(made.status, 0, made.stdout + made.stderr);
      const plugins = path.join(instance.folder, 'plugins');
      fs.cpSync(path.join(build, 'plugins'), plugins, { recursive: true });
      fs.copyFileSync(path.join(project, 'acme.so'), path.join(plugins, 'acme.so'));
      fs.chmodSync(path.join(plugins, 'acme.so'), 0o644);
      instance.env.OPENSEND_PLUGINS__DIR = plugins;
      // The lines are those of the project's own README.
      const readme = fs.readFileSync(path.join(project, 'README.md'), 'utf8');
      const lines = /^```properties\n([\s\S]*?)^```$/m.exec(readme)[1].trim().split('\n');
      assert.equal(lines.length, 3);
      const config = path.join(instance.folder, 'opensend.properties');
      fs.writeFileSync(config, `${lines.join('\n').replace('2525', String(sink.port))}\n`, { mode: 0o640 });
      instance.run('domains', 'add', 'example.dev', '--i-own-this-domain');
      const key = instance.key();
      await instance.start({}, ['--config', config]);
      const mail = { from: 'ada@example.dev', to: ['friend@example.com', 'other@example.com'], subject: `From ${lang}`,
        text: 'one\n.two' };
      const sent = await instance.call('POST', '/emails', { key, body: mail });
      assert.equal(sent.status, 200, sent.text);
      await until('it is sent', async () =>
        (await instance.call('GET', `/emails/${sent.body.id}`, { key })).body.last_event === 'sent', 40000);
      const text = sink.messages().join('\n');
      assert.match(text, new RegExp(`^Subject: From ${lang}`, 'm'));
      assert.match(text, /^(\.|=2E)two\r?$/m);
      assert.match(text, /other@example\.com/);
    } finally {
      await instance.destroy();
      sink.stop();
    }
  });
}
