// The database refuses a result: it is kept on disk, stored later, and nothing is sent twice.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { Instance, sleep, until } from './support.mjs';

test('a result that finds the database locked is kept and stored afterwards', async () => {
  const instance = await new Instance({
    env: {
      OPENSEND_TRANSPORT__NAMES: 'slow',
      OPENSEND_TRANSPORT__SLOW__URL: 'capture:///',
      OPENSEND_TRANSPORT__SLOW__CONFIG__OUTCOMES: '{"slow@example.com":"slow:2000"}',
    },
  }).prepare();
  let blocker;
  try {
    instance.run('domains', 'add', 'example.dev', '--i-own-this-domain');
    const key = instance.key();
    await instance.start();
    const sent = await instance.call('POST', '/emails', {
      key, body: { from: 'a@example.dev', to: 'slow@example.com', subject: 'Hi', text: 'Hello' },
    });
    const status = async () => (await instance.call('GET', `/emails/${sent.body.id}`, { key })).body.recipients[0].status;
    await until('it is on the wire', async () => (await status()) === 'sending');
    await sleep(300);
    blocker = spawn('sqlite3', [path.join(instance.folder, 'data/opensend.db')], { stdio: ['pipe', 'ignore', 'ignore'] });
    blocker.stdin.write('.timeout 5000\nBEGIN IMMEDIATE;\n');
    const journal = path.join(instance.folder, 'data/outcomes.log');
    await until('the result is on disk', () => fs.existsSync(journal) && fs.statSync(journal).size > 0, 40000);
    assert.equal(instance.captured().length, 1);
    blocker.stdin.end('ROLLBACK;\n.quit\n');
    await until('it is delivered', async () => (await status()) === 'delivered', 40000);
    assert.equal(fs.statSync(journal).size, 0);
    assert.equal(instance.captured().length, 1);
  } finally {
    blocker?.kill();
    await instance.destroy();
  }
});
