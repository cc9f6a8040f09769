// SIGKILL at every named step, again and again: what was answered 200 is delivered or still queued,
// and nothing is delivered twice while no outcome was unknown.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Instance, sleep, until } from './support.mjs';

const steps = ['accept_applied', 'accept_committed', 'claimed', 'wire', 'delivered', 'outcome_applied', 'recorded', 'sequenced'];

/** Sends until the server dies; returns the ids that were answered. */
async function sendUntilDead(instance, key, accepted, wanted) {
  let alive = true;
  instance.exited.then(() => { alive = false; });
  const sender = async () => {
    while (alive && accepted.length < wanted) {
      try {
        const answer = await instance.call('POST', '/emails', {
          key, body: { from: 'ada@example.dev', to: ['friend@example.com'], subject: 'Hi', text: 'Hello' },
        });
        if (answer.status === 200) accepted.push(answer.body.id);
      } catch {
        await sleep(5); // the connection died with the server
      }
    }
  };
  await Promise.all(Array.from({ length: 8 }, sender));
}

for (const database of ['sqlite', 'postgres']) {
  test(`no accepted mail is lost at any step (${database})`, async () => {
    const instance = await new Instance({ database, env: { OPENSEND_TRANSPORT_URL: 'capture:///', OPENSEND_SEND__LEASE: '30s' } }).prepare();
    try {
      instance.run('domains', 'add', 'example.dev', '--i-own-this-domain');
      const key = instance.key();
      const accepted = [];
      let kills = 0;
      for (const step of steps) {
        for (const nth of [1, 7]) {
          // With mail left over from the last kill it may die before the first request.
          const up = await instance.start({ OPENSEND_CRASH_AT: `${step}:${nth}` }).then(() => true, () => false);
          if (up) await sendUntilDead(instance, key, accepted, accepted.length + 60);
          const ended = await Promise.race([instance.exited, sleep(3000).then(() => null)]);
          if (ended === null) await instance.stop();
          else assert.equal(ended.signal, 'SIGKILL', instance.log);
          if (ended !== null) kills += 1;
        }
      }
      assert.ok(kills >= steps.length, `the steps were reached: ${kills} kills`);
      await instance.start();
      const states = new Map();
      const settled = (status) => status === 'delivered' || status === 'unknown';
      const wait = database === 'sqlite' ? 60000 : 120000;
      await until('everything is delivered or its outcome unknown', async () => {
        for (const id of accepted) {
          if (settled(states.get(id))) continue;
          states.set(id, (await instance.call('GET', `/emails/${id}`, { key })).body.status);
        }
        return accepted.every((id) => settled(states.get(id)));
      }, wait);
      const copies = new Map();
      for (const text of instance.captured()) {
        const id = /^Message-ID: <([0-9a-f-]{36})@/m.exec(text)[1];
        copies.set(id, (copies.get(id) ?? 0) + 1);
      }
      const delivered = accepted.filter((id) => states.get(id) === 'delivered');
      const unknown = accepted.filter((id) => states.get(id) === 'unknown');
      for (const id of delivered) assert.equal(copies.get(id), 1, `${id} was delivered once`);
      for (const id of unknown) assert.ok((copies.get(id) ?? 0) <= 1, `${id} was not repeated while unknown`);
      console.log(`${database}: accepted ${accepted.length} = delivered ${delivered.length} + queued ${unknown.length} (outcome unknown); kills ${kills}; duplicates 0`);
      assert.equal(accepted.length, delivered.length + unknown.length);
      assert.ok(accepted.length >= 100);
    } finally {
      await instance.destroy();
    }
  });
}
