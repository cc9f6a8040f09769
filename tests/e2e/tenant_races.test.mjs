// Two tenants that do the same things with the same names in the same moment.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Instance, until } from './support.mjs';

const rounds = 12;

for (const database of ['sqlite', 'postgres']) {
  test(`two tenants race and never meet (${database})`, async (t) => {
    const instance = await new Instance({ database }).prepare();
    const tenants = ['harbour', 'meadow'].map((name) => {
      const org = instance.run('orgs', 'create', '--name', name).trim();
      instance.run('domains', 'add', `${name}.example`, '--org', name, '--i-own-this-domain');
      return { name, org, key: instance.key('--org', name) };
    });
    await instance.start();
    const ask = (tenant, method, route, body, headers) => instance.call(method, route, { key: tenant.key, body, headers });
    const both = (work) => Promise.all(tenants.map(work));
    const mail = (tenant, to) => ({ from: `a@${tenant.name}.example`, to, subject: `of ${tenant.name}`, text: 'x' });
    try {
      await t.test('one address is suppressed by each for itself', async () => {
        for (let round = 0; round < rounds; round += 1) {
          const email = `same${round}@elsewhere.example`;
          const rows = await both((tenant) => Promise.all(Array.from({ length: 4 }, () => ask(tenant, 'POST', '/suppressions', { email }))));
          const ids = rows.map((answers) => {
            for (const answer of answers) assert.ok(answer.status === 200 || answer.status === 201, answer.text);
            const own = new Set(answers.map((answer) => answer.body.id));
            assert.equal(own.size, 1, 'one row for one address');
            return [...own][0];
          });
          assert.notEqual(ids[0], ids[1]);
          // One takes it away while the other looks.
          const [removed, seen] = await Promise.all([ask(tenants[0], 'DELETE', `/suppressions/${email}`), ask(tenants[1], 'GET', `/suppressions/${email}`)]);
          assert.deepEqual([removed.body.id, seen.body.id], ids);
          assert.equal((await ask(tenants[0], 'GET', `/suppressions/${email}`)).status, 404);
        }
      });

      await t.test('what one suppresses holds back its own mail only', async () => {
        // All of the first tenant's are gone again, all of the second's stand.
        const sent = await both((tenant) => ask(tenant, 'POST', '/emails', mail(tenant, ['delivered@resend.dev', 'same1@elsewhere.example'])));
        const state = async (tenant, id) => (await ask(tenant, 'GET', `/emails/${id}`)).body;
        await until('the second is held back', async () => JSON.stringify(await state(tenants[1], sent[1].body.id)).includes('suppressed'));
        const first = await ask(tenants[0], 'GET', `/emails/${sent[0].body.id}/events`);
        assert.ok(!first.text.includes('suppress'), first.text);
      });

      await t.test('one idempotency key belongs to each, sixty-four clients at a time', async () => {
        const headers = { 'Idempotency-Key': 'shared' };
        const answers = await both((tenant) => Promise.all(Array.from({ length: 64 }, () =>
          ask(tenant, 'POST', '/emails', mail(tenant, ['delivered@resend.dev']), headers))));
        const ids = answers.map((own, i) => {
          const good = own.filter((answer) => answer.status === 200);
          assert.ok(good.length >= 1);
          for (const answer of own) if (answer.status !== 200) assert.equal(answer.body.name, 'concurrent_idempotent_requests', answer.text);
          const distinct = new Set(good.map((answer) => answer.body.id));
          assert.equal(distinct.size, 1, `${tenants[i].name} has one email`);
          return [...distinct][0];
        });
        assert.notEqual(ids[0], ids[1]);
        for (const [i, tenant] of tenants.entries()) {
          const email = (await ask(tenant, 'GET', `/emails/${ids[i]}`)).body;
          assert.equal(email.subject, `of ${tenant.name}`);
          assert.equal((await ask(tenant, 'GET', `/emails/${ids[1 - i]}`)).status, 404);
          const list = (await ask(tenant, 'GET', '/emails?limit=100')).body.data;
          assert.equal(list.filter((each) => each.id === ids[i]).length, 1);
          assert.ok(list.every((each) => each.subject === `of ${tenant.name}`));
        }
      });

      await t.test('a cursor of the one is only a place in time for the other', async () => {
        const [own, foreign] = await both(async (tenant) => (await ask(tenant, 'GET', '/emails?limit=100')).body.data.map((each) => each.id));
        for (const cursor of foreign) {
          for (const way of ['after', 'before']) {
            const page = (await ask(tenants[0], 'GET', `/emails?limit=100&${way}=${cursor}`)).body;
            const expected = own.filter((id) => (way === 'after' ? id < cursor : id > cursor));
            assert.deepEqual(page.data.map((each) => each.id), expected);
          }
        }
      });

      await t.test('the log of events counts for each from one', async () => {
        const logs = await both(async (tenant) => (await ask(tenant, 'GET', '/events/log?after=0&limit=1000')).body.data);
        for (const [i, entries] of logs.entries()) {
          assert.ok(entries.length > rounds);
          assert.deepEqual(entries.map((entry) => entry.sequence), entries.map((_, at) => at + 1));
          assert.ok(!JSON.stringify(entries).includes(tenants[1 - i].name));
        }
      });
    } finally {
      await instance.destroy();
    }
  });
}
