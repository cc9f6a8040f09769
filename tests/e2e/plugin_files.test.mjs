// Plugin files are shown, signed, pinned, added and judged from the command line.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { build, Instance } from './support.mjs';

const source = (name) => path.join(build, 'plugins_bad', `${name}.so`);

/** An instance with a plugins folder and a configuration file of its own. */
async function prepared() {
  const instance = await new Instance().prepare();
  instance.plugins = path.join(instance.folder, 'plugins');
  fs.cpSync(path.join(build, 'plugins'), instance.plugins, { recursive: true });
  instance.env.OPENSEND_PLUGINS__DIR = instance.plugins;
  instance.config = path.join(instance.folder, 'opensend.properties');
  fs.writeFileSync(instance.config, '# mine\nlog.level = info\n', { mode: 0o640 });
  instance.tool = (...args) => {
    const done = spawnSync(path.join(build, 'bin/opensend'), ['--config', instance.config, ...args],
      { cwd: instance.folder, env: instance.environment(), encoding: 'utf8' });
    return { code: done.status, out: done.stdout, err: done.stderr };
  };
  return instance;
}

test('a plugin is added with everything it asks for, runs, and is refused once it changed', async () => {
  const instance = await prepared();
  try {
    const asked = instance.tool('plugins', 'inspect', source('bad_grants'), '--json');
    assert.equal(asked.code, 0, asked.err);
    const shown = JSON.parse(asked.out);
    assert.equal(shown.manifest.id, 'test.bad');
    assert.deepEqual(shown.grants, { http: 'https://api.example:443' });
    assert.match(instance.tool('plugins', 'inspect', source('bad_grants')).out, /asks for\n  http = https:/);

    const added = instance.tool('plugins', 'add', source('bad_grants'), '--name', 'acme', '--write');
    assert.equal(added.code, 0, added.out + added.err);
    const text = fs.readFileSync(instance.config, 'utf8');
    for (const line of ['# mine', 'plugins.enabled = capture, smtp, api_key, memory_limit, acme',
      'plugins.acme.file = bad_grants.so', `plugins.acme.sha256 = ${shown.sha256}`,
      'plugins.acme.grants.http = https://api.example:443'])
      assert.ok(text.split('\n').includes(line), `${line}\nin\n${text}`);
    assert.equal(fs.statSync(instance.config).mode & 0o777, 0o640);
    assert.equal(fs.statSync(path.join(instance.plugins, 'bad_grants.so')).mode & 0o777, 0o644);
    assert.match(instance.tool('plugins', 'list').out, /^up +acme +test\.bad 1/m);
    assert.equal(instance.tool('plugins', 'add', source('bad_grants'), '--name', 'acme').code, 1);

    fs.copyFileSync(source('bad_second'), path.join(instance.plugins, 'bad_grants.so'));
    assert.match(instance.tool('plugins', 'list').out, /acme: sha256: expected [0-9a-f]{64}, found [0-9a-f]{64}/);
    const why = instance.tool('plugins', 'check', '--why', 'acme');
    assert.equal(why.code, 3);
    assert.match(why.out, /^ok +open: .*\n(.*\n)*FAIL +sha256: expected/m);
    assert.equal(instance.tool('plugins', 'pin', 'acme', '--write').code, 0);
    assert.match(instance.tool('plugins', 'list').out, /^up +acme/m);
  } finally {
    await instance.destroy();
  }
});

test('a plugin that is refused is not left in the folder', async () => {
  const instance = await prepared();
  try {
    const before = fs.readdirSync(instance.plugins).sort();
    for (const name of ['bad_start_crash', 'bad_export']) {
      const added = instance.tool('plugins', 'add', source(name), '--write');
      assert.equal(added.code, 3, added.err);
      assert.match(added.out, /^FAIL /m);
    }
    assert.deepEqual(fs.readdirSync(instance.plugins).sort(), before);
    assert.equal(fs.readFileSync(instance.config, 'utf8'), '# mine\nlog.level = info\n');
    assert.deepEqual(fs.readdirSync(instance.folder).includes('core'), false);
  } finally {
    await instance.destroy();
  }
});

test('with trusted keys only signed plugins run', async () => {
  const instance = await prepared();
  try {
    const key = path.join(instance.folder, 'key.pem');
    const made = instance.tool('plugins', 'keygen', key);
    assert.equal(made.code, 0, made.err);
    const pub = made.out.trim();
    assert.match(pub, /^ed25519:[A-Za-z0-9+/]{43}=$/);
    assert.equal(fs.statSync(key).mode & 0o777, 0o600);
    assert.equal(instance.tool('plugins', 'keygen', key).code, 1, 'a key is never overwritten');

    instance.env.OPENSEND_PLUGINS__TRUSTED_KEYS = pub;
    instance.env.OPENSEND_PLUGINS__SEALED = 'true';
    assert.match(instance.tool('plugins', 'list').out, /capture: signature: expected a file capture\.so\.sig/);
    for (const name of ['capture', 'smtp', 'api_key', 'memory_limit'])
      assert.equal(instance.tool('plugins', 'sign', path.join(instance.plugins, `${name}.so`), '--key', key).code, 0);
    const list = instance.tool('plugins', 'list');
    assert.equal(list.code, 0, list.out);
    const file = path.join(instance.plugins, 'smtp.so');
    assert.match(instance.tool('plugins', 'verify', file, '--key', pub).out, /signed by ed25519:/);
    fs.copyFileSync(path.join(instance.plugins, 'capture.so.sig'), `${file}.sig`);
    const wrong = instance.tool('plugins', 'verify', file, '--key', pub);
    assert.equal(wrong.code, 3);
    assert.match(wrong.out, /signature: expected one by a trusted key/);
    instance.env.OPENSEND_PLUGINS__TRUSTED_KEYS = 'ed25519:short';
    assert.equal(instance.tool('plugins', 'list').code, 78);
  } finally {
    await instance.destroy();
  }
});

test('a file that dies when it is loaded does not take the server along, and is not tried twice', async () => {
  const instance = await prepared();
  try {
    for (const name of ['bad_start_crash', 'bad_start_umask'])
      fs.copyFileSync(source(name), path.join(instance.plugins, `${name}.so`));
    instance.env.OPENSEND_PLUGINS__ENABLED = 'capture, api_key, memory_limit, bad_start_crash, bad_start_umask';
    for (let start = 0; start < 2; ++start) {
      await instance.start();
      assert.equal((await instance.call('GET', '/ready')).body.checks.plugins, 'warn');
      await instance.stop();
    }
    const problems = instance.log.split('\n').filter((line) => line.includes('plugin.refused')).map((line) => JSON.parse(line).problem);
    assert.equal(problems.length, 4);
    assert.match(problems[0], /bad_start_crash: scan: expected a file that loads, found a process ended by SIGABRT$/);
    assert.match(problems[1], /bad_start_umask: snapshot: expected umask 0\d+ as before loading, found 0000$/);
    assert.match(problems[2], /SIGABRT \(remembered; without /);
    assert.equal(fs.readdirSync(path.join(instance.folder, 'data/plugins/verdicts')).length, 5);
  } finally {
    await instance.destroy();
  }
});
