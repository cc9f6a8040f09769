// Plays tests/api/*.http, each with organizations of its own, on both databases.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { parseScript, playStep } from './http_script.mjs';
import { Instance } from './support.mjs';

const folder = path.join(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '../api');
const files = fs.readdirSync(folder).filter((name) => name.endsWith('.http')).sort();
assert.ok(files.length > 0);

/** An organization with the callers that scripts name; only what the script mentions is made. */
async function prepare(instance, script, text, number) {
  const org = `t${number}`;
  const kept = { unknown_uuid: '019cadd4-cbcb-7f91-8540-60d7d17dd01c', domain: `${org}.example`, base: instance.base };
  instance.run('orgs', 'create', '--name', org);
  kept.full_key = instance.key('--org', org);
  const mint = async (permission, more = {}) => (await instance.call('POST', '/api-keys', {
    key: kept.full_key, body: { name: permission, permission, ...more } })).body.token;
  if (text.includes('sending_key')) kept.sending_key = await mint('sending_access');
  if (text.includes('reading_key')) kept.reading_key = await mint('read_access');
  if (/\$\{domain(_id)?\}|restricted_key/.test(text)) {
    instance.run('domains', 'add', kept.domain, '--org', org, '--i-own-this-domain');
    const list = await instance.call('GET', '/domains', { key: kept.full_key });
    kept.domain_id = list.body.data.find((each) => each.name === kept.domain).id;
  }
  if (text.includes('restricted_key')) kept.restricted_key = await mint('full_access', { domain_id: kept.domain_id });
  if (text.includes('other_key')) {
    instance.run('orgs', 'create', '--name', `o${number}`);
    kept.other_key = instance.key('--org', `o${number}`);
  }
  return kept;
}

for (const database of ['sqlite', 'postgres']) {
  test(`the API as text on ${database}`, async (t) => {
    const instance = await new Instance({ database }).prepare();
    await instance.start();
    try {
      for (const [number, name] of files.entries()) {
        const file = path.join(folder, name);
        const script = parseScript(file);
        await t.test(`${name}: ${script.title}`, async () => {
          const kept = await prepare(instance, script, fs.readFileSync(file, 'utf8'), number);
          for (const step of script.steps) await playStep(instance, step, kept);
        });
      }
      // Ten seconds are enough for each thing that runs by the clock to have had its turn.
      assert.ok(!instance.log.includes('"worker.failed"'), instance.log.split('\n').filter((line) => line.includes('worker.failed')).join('\n'));
    } finally {
      await instance.destroy();
    }
  });
}
