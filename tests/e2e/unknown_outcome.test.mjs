// A mail host that takes the message and hangs up before it answers: what each policy makes of it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import net from 'node:net';
import test from 'node:test';
import { Instance, until } from './support.mjs';

/** The minutes of the wait, over at once. */
function endTheWait(instance, database) {
  const sql = 'UPDATE queue SET due_at = 1 WHERE phase = 4';
  if (database === 'sqlite') {
    execFileSync('sqlite3', ['-cmd', '.timeout 5000', instance.databaseUrl.slice('sqlite:'.length), sql]);
  } else {
    execFileSync('psql', ['-q', '-v', 'ON_ERROR_STOP=1', instance.databaseUrl, '-c', sql]);
  }
}

/** Speaks SMTP, keeps what was handed over, and hangs up after the final dot of the first `silent` ones. */
async function rudeHost(silent) {
  const taken = [];
  const server = net.createServer((socket) => {
    let data = null;
    let buffer = '';
    socket.on('error', () => {});
    socket.write('220 rude.example ESMTP\r\n');
    socket.on('data', (chunk) => {
      buffer += chunk.toString('latin1');
      for (;;) {
        if (data !== null) {
          const end = buffer.indexOf('\r\n.\r\n');
          if (end < 0) return;
          taken.push(buffer.slice(0, end));
          buffer = buffer.slice(end + 5);
          data = null;
          if (taken.length <= silent) { socket.destroy(); return; }
          socket.write('250 2.0.0 kept\r\n');
          continue;
        }
        const line = buffer.indexOf('\r\n');
        if (line < 0) return;
        const command = buffer.slice(0, line).toUpperCase();
        buffer = buffer.slice(line + 2);
        if (command.startsWith('EHLO')) socket.write('250-rude.example\r\n250 8BITMIME\r\n');
        else if (command === 'DATA') { data = ''; socket.write('354 go on\r\n'); }
        else if (command === 'QUIT') socket.end('221 2.0.0 bye\r\n');
        else socket.write('250 2.0.0 ok\r\n');
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  return { port: server.address().port, taken, stop: () => server.close() };
}

for (const database of ['sqlite', 'postgres']) {
  for (const [policy, ends, copies] of [['retry', 'sent', 2], ['hold', 'held', 1], ['assume_sent', 'sent', 1]]) {
    test(`an answer that never came, policy ${policy}, on ${database}`, async () => {
      const host = await rudeHost(1);
      const instance = await new Instance({ database, env: {
        OPENSEND_TRANSPORT_URL: `smtp://127.0.0.1:${host.port}?tls=none`,
        OPENSEND_SEND__UNKNOWN_POLICY: policy,
      } }).prepare();
      try {
        instance.run('domains', 'add', 'example.dev', '--i-own-this-domain');
        const key = instance.key();
        await instance.start();
        const sent = await instance.call('POST', '/emails', { key, body: {
          from: 'ada@example.dev', to: ['grace@example.net'], subject: 'Once', text: 'Only once' } });
        assert.equal(sent.status, 200, sent.text);
        const status = async () => (await instance.call('GET', `/emails/${sent.body.id}`, { key })).body.status;
        await until('the outcome is unknown', async () => (await status()) === 'unknown');
        assert.equal(host.taken.length, 1);
        endTheWait(instance, database);
        await until(`it is ${ends}`, async () => (await status()) === ends);
        await new Promise((done) => setTimeout(done, 1500));
        assert.equal(await status(), ends);
        assert.equal(host.taken.length, copies, 'copies that left the building');
        const explained = (await instance.call('GET', `/emails/${sent.body.id}/explain`, { key }));
        if (explained.status === 200) {
          const attempts = explained.body.recipients[0].attempts;
          assert.deepEqual(attempts.map((one) => one.uncertain), policy === 'retry' ? [false, true] : [false]);
          assert.equal(attempts[0].class, 'ok_unknown');
        }
      } finally {
        await instance.destroy();
        host.stop();
      }
    });
  }
}
