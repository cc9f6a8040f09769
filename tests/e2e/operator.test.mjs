// What an operator does at the command line: organizations, users, roles, the audit log.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import path from 'node:path';
import test from 'node:test';
import { build, Instance } from './support.mjs';

for (const database of ['sqlite', 'postgres']) {
  test(`the operator's commands on ${database}`, async (t) => {
    const instance = await new Instance({ database }).prepare();
    const binary = path.join(build, 'bin/opensend');
    const withInput = (input, ...args) => spawnSync(binary, args, {
      cwd: instance.folder, env: instance.environment(), input, encoding: 'utf8' });
    const fails = (code, text, ...args) => {
      const result = withInput('', ...args);
      assert.equal(result.status, code, result.stderr);
      assert.match(result.stderr, text);
    };
    try {
      await t.test('users are made with a password from standard input and listed with their roles', () => {
        instance.run('orgs', 'create', '--name', 'acme');
        const made = withInput('correct horse battery\n', 'users', 'create', '--email', 'Grace@acme.dev', '--owner', '--org', 'acme');
        assert.equal(made.status, 0, made.stderr);
        assert.match(made.stdout, /^[0-9a-f-]{36}\n$/);
        const short = withInput('short\n', 'users', 'create', '--email', 'b@acme.dev', '--org', 'acme');
        assert.equal(short.status, 1);
        assert.match(short.stderr, /12 to 256 characters/);
        const telling = withInput('my graceful password\n', 'users', 'create', '--email', 'graceful@acme.dev', '--org', 'acme');
        assert.match(telling.stderr, /name of the address/);
        const twice = withInput('correct horse battery\n', 'users', 'create', '--email', 'grace@ACME.dev', '--org', 'acme');
        assert.equal(twice.status, 4, twice.stderr);
        assert.match(instance.run('users', 'list'), /active {2}Grace@acme\.dev {2}acme:owner/);
      });
      await t.test('the last owner can be neither demoted, removed nor disabled', () => {
        fails(4, /without an owner/, 'members', 'set-role', 'grace@acme.dev', 'viewer', '--org', 'acme');
        fails(4, /without an owner/, 'members', 'remove', 'grace@acme.dev', '--org', 'acme');
        fails(4, /without an owner/, 'users', 'disable', 'grace@acme.dev');
        fails(1, /not found/, 'members', 'remove', 'nobody@acme.dev', '--org', 'acme');
        fails(1, /owner, admin, member or viewer/, 'members', 'set-role', 'grace@acme.dev', 'root', '--org', 'acme');
      });
      await t.test('keys are minted with limits, rotated, and ended by a token that leaked', async () => {
        instance.run('orgs', 'create', '--name', 'keys');
        const first = instance.key('--org', 'keys', '--expires', '90d', '--allow-ip', '127.0.0.0/8');
        await instance.start();
        const shown = (await instance.call('GET', '/api-keys', { key: first })).body.data[0];
        assert.deepEqual(shown.allowed_ips, ['127.0.0.0/8']);
        const days = (Date.parse(shown.expires_at) - Date.parse(shown.created_at)) / 86400000;
        assert.ok(days > 89.9 && days < 90.1, shown.expires_at);
        const second = instance.run('keys', 'rotate', shown.id, '--org', 'keys', '--grace', '1h').trim();
        for (const key of [first, second]) assert.equal((await instance.call('GET', '/domains', { key })).status, 200);
        const revoked = withInput(`${first}\n`, 'keys', 'revoke', '--leaked');
        assert.equal(revoked.stdout, 'revoked 1\n', revoked.stderr);
        await new Promise((done) => setTimeout(done, 1100));
        for (const key of [first, second]) assert.equal((await instance.call('GET', '/domains', { key })).status, 403);
        await instance.stop();
        fails(1, /CIDR/, 'keys', 'create', '--org', 'keys', '--allow-ip', '10.0.0.1/8');
        fails(1, /either ids or --leaked/, 'keys', 'revoke', '--org', 'keys');
      });
      await t.test('a suspended organization reads and does nothing else until it is resumed', async () => {
        const key = instance.key('--org', 'acme');
        await instance.start();
        const state = async () => [
          (await instance.call('GET', '/emails', { key })).status,
          (await instance.call('POST', '/api-keys', { key, body: { name: 'x' } })).body.code];
        instance.run('orgs', 'suspend', 'acme');
        await new Promise((done) => setTimeout(done, 1100));
        assert.deepEqual(await state(), [200, 'org_suspended']);
        instance.run('orgs', 'resume', 'acme');
        await new Promise((done) => setTimeout(done, 1100));
        assert.deepEqual(await state(), [200, undefined]);
        instance.run('orgs', 'delete', 'acme');
        await new Promise((done) => setTimeout(done, 1100));
        assert.equal((await instance.call('GET', '/emails', { key })).body.name, 'invalid_api_key');
        await instance.stop();
      });
      await t.test('the audit log holds what was done, in a chain that is checked', () => {
        const lines = instance.run('audit', 'export', '--org', 'acme').trim().split('\n').map((line) => JSON.parse(line));
        assert.deepEqual(lines.map((line) => line.action), ['organization.created', 'user.created', 'api_key.created',
          'organization.suspended', 'organization.resumed', 'api_key.created', 'organization.deleted']);
        assert.deepEqual([...new Set(lines.map((line) => line.actor.type))], ['operator', 'api_key']);
        assert.equal(lines[0].prev_hash, '0'.repeat(64));
        lines.forEach((line, index) => { if (index) assert.equal(line.prev_hash, lines[index - 1].hash); });
        assert.match(instance.run('audit', 'verify'), /acme {2}intact, \d+ entries/);
        const sql = (text) => (database === 'sqlite'
          ? execFileSync('sqlite3', [instance.databaseUrl.slice('sqlite:'.length), text], { stdio: ['ignore', 'pipe', 'pipe'] })
          : execFileSync('psql', ['-q', '-v', 'ON_ERROR_STOP=1', instance.databaseUrl, '-c', text], { stdio: ['ignore', 'pipe', 'pipe'] }));
        assert.throws(() => sql("UPDATE audit_log SET entry = '{}' WHERE sequence = 2"), /not changed/);
        sql(database === 'sqlite' ? 'DROP TRIGGER audit_log_keeps' : 'ALTER TABLE audit_log DISABLE TRIGGER audit_log_stays');
        sql("UPDATE audit_log SET entry = replace(entry, 'Grace', 'Mallory') WHERE sequence = 2");
        const broken = withInput('', 'audit', 'verify');
        assert.equal(broken.status, 3);
        assert.match(broken.stdout, /broken at 2/);
      });
    } finally {
      await instance.destroy();
    }
  });
}
