// A plugin is checked, run and measured from the command line, without a server.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { build } from './support.mjs';

const good = path.join(build, 'plugins_bad', 'echo_transport.so');
const bad = path.join(build, 'plugins_bad', 'defect.so');
const capture = path.join(build, 'plugins', 'capture.so');
const mail = 'From: a@example.com\nTo: b@example.net\nSubject: x\n\nhello\n';

function tool(args, { input = '', env = {} } = {}) {
  const done = spawnSync(path.join(build, 'bin/opensend'), ['plugins', ...args],
    { input, env: { ...process.env, ...env }, encoding: 'utf8' });
  return { code: done.status, out: done.stdout, err: done.stderr };
}

function withFolder(body) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'opensend-plugin-'));
  try {
    return body(folder);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

test('check ends with 0, 1 or 2 and says in one line what failed', () => withFolder((folder) => {
  const passed = tool(['check', good]);
  assert.equal(passed.code, 0, passed.out + passed.err);
  assert.match(passed.out, /^good: \d+ passed, 0 failed, \d+ do not apply\n$/);

  const junit = path.join(folder, 'report.xml');
  const failed = tool(['check', bad, '--only', 'transport.', '--kind', 'defect', '--junit', junit],
    { env: { OPENSEND_DEFECT: 'transport.codes' } });
  assert.equal(failed.code, 1, failed.out);
  assert.match(failed.out, /^FAIL {2}transport\.codes .*\n {6}outcome 0 with code 550\n {6}hint: /);
  assert.match(fs.readFileSync(junit, 'utf8'), /name="transport\.codes"[^\n]*<failure/);

  assert.equal(tool(['check', path.join(folder, 'nothing.so')]).code, 2);
  assert.equal(tool(['check', good, '--only', 'no-such-check']).code, 2);
  assert.equal(tool(['check', good, '--config', path.join(folder, 'nothing.json')]).code, 2);
}));

test('check lists what it knows, and answers in JSON', () => {
  const ids = tool(['check', '--list']).out.trimEnd().split('\n').map((line) => line.split(' ')[0]);
  assert.ok(ids.length >= 60, `${ids.length} checks`);
  assert.equal(new Set(ids).size, ids.length);
  const report = JSON.parse(tool(['--json', 'check', good, '--only', 'load.']).out);
  assert.equal(report.ok, true);
  assert.ok(report.checks.every(({ id, result }) => id.startsWith('load.') && result === 'pass'));
  assert.match(tool(['check', good, '--why']).out, /^ok +elf|^ok +exports/m);
});

test('run hands one mail to a transport and tells each recipient apart', () => withFolder((folder) => {
  const config = path.join(folder, 'c.json');
  const box = path.join(folder, 'box');
  fs.writeFileSync(config, JSON.stringify({ path: box, outcomes: { 'no@example.net': 'rejected' } }));
  const both = tool(['run', capture, '--config', config, '--from', 'a@example.com',
    '--to', 'b@example.net', '--to', 'no@example.net'], { input: mail });
  assert.equal(both.code, 1, both.err);
  assert.match(both.out, /^ok {2}b@example\.net .*\nperm_recipient {2}no@example\.net {2}550/);
  const [file] = fs.readdirSync(path.join(box, 'new'));
  assert.match(fs.readFileSync(path.join(box, 'new', file), 'utf8'), /\r\n\r\nhello\r\n$/);

  const one = tool(['--json', 'run', capture, '--config', config, '--to', 'b@example.net'], { input: mail });
  assert.equal(one.code, 0, one.err);
  assert.equal(JSON.parse(one.out)[0].result, 'ok');

  const key = path.join(folder, 'key');
  fs.writeFileSync(key, 'a secret\n');
  fs.writeFileSync(config, '{"token":{"$secret":"acme/key"}}');
  const withSecret = tool(['run', bad, '--config', config, '--secret', `acme/key=${key}`,
    '--to', 'b@example.net'], { input: mail });
  assert.equal(withSecret.code, 0, withSecret.err);
  assert.match(withSecret.err, /^not granted http=https:\/\/api\.example:443$/m);
  assert.equal(tool(['run', bad, '--config', config, '--to', 'b@example.net'], { input: mail }).code, 2);
  assert.equal(tool(['run', good, '--to', 'b@example.net']).code, 2);
}));

test('bench measures every call of every kind', () => {
  const report = JSON.parse(tool(['--json', 'bench', good]).out);
  assert.deepEqual(report.calls.map(({ call, batch }) => [call, batch]), [['send', 1], ['send', 16]]);
  assert.ok(report.calls.every((one) => one.median_ns > 0 && one.p99_ns >= one.median_ns));
  assert.match(tool(['bench', good]).out, /median +p99\n/);
});
