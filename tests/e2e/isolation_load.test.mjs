// The load script of isolated plugins still runs, and its count of messages is right.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

test('the server is measured with and without hostile workers', async () => {
  const script = fileURLToPath(new URL('../../benchmarks/load/isolation.mjs', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script, '4', '60'], { timeout: 300000 });
  assert.match(stdout, /^healthy {2}accepted \d+ .* worker deaths 0$/m);
  assert.match(stdout, /^hostile {2}accepted \d+ .* worker deaths [1-9]\d*$/m);
  assert.match(stdout, /^ratio {2}p99 [\d.]+ {2}rss [\d.]+$/m);
});
