// What an operator meets before the first mail.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { build, freePort, Instance } from './support.mjs';

const binary = path.join(build, 'bin/opensend');
const run = (instance, args, env = {}) => {
  const all = { ...instance.environment(), ...env };
  for (const [name, value] of Object.entries(all)) if (value === undefined) delete all[name];
  return spawnSync(binary, args, { cwd: instance.folder, env: all, encoding: 'utf8' });
};

test('placeholders under a public URL refuse the start with everything in one message', () => {
  const instance = new Instance();
  const result = run(instance, ['serve'], {
    OPENSEND_URL: 'https://mail.example.com',
    BETTER_AUTH_SECRET: 'local-dev-better-auth-secret-replace-before-production',
    INGESTER_JOB_TOKEN: 'short',
    RATE_LIMIT_BACKEND: 'redsi',
  });
  assert.equal(result.status, 78);
  assert.match(result.stderr, /^opensend: configuration refused \(\d+ problems\)\n/);
  assert.match(result.stderr, /^ {2}BETTER_AUTH_SECRET: placeholder: /m);
  assert.match(result.stderr, /^ {2}INGESTER_JOB_TOKEN: too_short: 5 characters; at least 32 are needed$/m);
  assert.match(result.stderr, /^ {2}RATE_LIMIT_BACKEND: unknown_value: "redsi" is not one of /m);
  assert.match(result.stderr, /openssl rand -hex 32\n$/);
  assert.ok(!result.stderr.includes('local-dev-better'));
});

test('init writes files once, migrates, and a second init refuses', () => {
  const instance = new Instance();
  const bare = { WEBHOOK_SECRET_ENCRYPTION_KEY: undefined };
  const first = run(instance, ['init', '--app-url', 'http://localhost:3015'], bare);
  assert.equal(first.status, 0, first.stderr);
  const env = path.join(instance.folder, 'etc/.env');
  assert.equal(fs.statSync(env).mode & 0o777, 0o600);
  assert.equal(fs.readFileSync(env, 'utf8').trim().split('\n').length, 4);
  assert.ok(!first.stdout.includes(fs.readFileSync(env, 'utf8').split('=')[1].slice(0, 16)));
  assert.equal(run(instance, ['init', '--app-url', 'http://localhost:3015'], bare).status, 4);
  assert.match(run(instance, ['orgs', 'list']).stdout, /active {2}default/);
  assert.equal(run(instance, ['config', 'check']).status, 0);
  assert.match(run(instance, ['config', 'show']).stdout, /app\.url = http:\/\/localhost/);
});

test('a wrong master key does not start', async () => {
  const instance = await new Instance().prepare();
  instance.key();
  const result = run(instance, ['serve'], { WEBHOOK_SECRET_ENCRYPTION_KEY: 'c4'.repeat(8) + '0f1e2d3c4b5a6978'.repeat(3) });
  assert.equal(result.status, 78, result.stderr);
  assert.match(result.stderr, /master key does not match this database/);
});

test('a second server on one SQLite database exits 69', async () => {
  const instance = await new Instance().prepare();
  await instance.start();
  try {
    const second = run(instance, ['serve'], { PORT: String(await freePort()) });
    assert.equal(second.status, 69, second.stderr);
  } finally {
    await instance.destroy();
  }
});

test('usage errors exit 2, version tells what this is', () => {
  const instance = new Instance();
  assert.equal(run(instance, ['serve', '--roles', 'nonsense']).status, 2);
  assert.equal(run(instance, ['nonsense']).status, 2);
  assert.equal(JSON.parse(run(instance, ['version', '--json']).stdout).plugin_abi, 1);
  assert.match(run(instance, ['plugins', 'check', path.join(build, 'plugins/smtp.so')]).stdout, /^good: \d+ passed, 0 failed/m);
  assert.equal(run(instance, ['plugins', 'check', binary]).status, 2);
  assert.equal(run(instance, ['plugins', 'check', '--why', binary]).status, 3);
});
