// Whole-server figures: P1, P2, P5, P6 and P10. Usage: contrib/ci/with-postgres --durable node benchmarks/load/run.mjs [seconds [P1 P2 P5 P6]]
// Every figure is with accepted mail on stable storage (SQLite FULL, PostgreSQL synchronous_commit=on),
// the limiter on, and the count of messages reconciled end to end.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import net from 'node:net';
import { freePort, Instance, sleep, smtpSink, until } from '../../tests/e2e/support.mjs';

const seconds = Number(process.argv[2] ?? 10);
const only = process.argv.slice(3);
const limits = Object.fromEntries(['ORG__API', 'KEY__API', 'ORG__SEND'].flatMap((bucket) => [
  [`OPENSEND_RATELIMIT__${bucket}__RATE`, '1000000/s'], [`OPENSEND_RATELIMIT__${bucket}__BURST`, '1000000']]));

const rss = (pid) => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;
const cpu = (pid) => {
  const fields = fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
};
const print = (name, fields) => console.log(`${name}  ${Object.entries(fields).map(([k, v]) => `${k} ${v}`).join('  ')}`);

async function prepared(database, env = {}) {
  const instance = await new Instance({ database, env: { ...limits, OPENSEND_HTTP__MAX_CONNECTIONS_PER_ADDRESS: '0', ...env } }).prepare();
  instance.run('domains', 'add', 'bench.example', '--i-own-this-domain');
  instance.token = instance.key();
  return instance;
}

function wrk(instance, connections, duration) {
  const out = execFileSync('wrk', ['-t1', `-c${connections}`, `-d${duration}s`, '--latency', '-s',
    new URL('send.lua', import.meta.url).pathname, `${instance.base}/emails`],
  { env: { ...process.env, OPENSEND_KEY: instance.token }, encoding: 'utf8' });
  const pick = (pattern) => pattern.exec(out)?.[1] ?? '-';
  return {
    perSecond: Math.round(Number(pick(/Requests\/sec:\s+([\d.]+)/))),
    requests: Number(pick(/(\d+) requests in/)),
    p50: pick(/50%\s+(\S+)/), p99: pick(/99%\s+(\S+)/),
    bad: Number(pick(/Non-2xx or 3xx responses: (\d+)/).replace('-', '0')),
  };
}

function stored(instance, database) {
  if (database === 'sqlite') {
    return Number(execFileSync('sqlite3', [path.join(instance.folder, 'data/opensend.db'), 'SELECT COUNT(*) FROM emails'], { encoding: 'utf8' }));
  }
  return Number(execFileSync('psql', ['-qtA', instance.databaseUrl, '-c', 'SELECT COUNT(*) FROM emails'], { encoding: 'utf8' }));
}

/** P1/P2: accept only; P10 beside it. */
async function accept(database) {
  const instance = await prepared(database);
  await instance.start({}, ['--roles=api']);
  const idle = rss(instance.child.pid);
  wrk(instance, 64, 2);
  const before = stored(instance, database);
  const cpuBefore = cpu(instance.child.pid);
  const result = wrk(instance, 64, seconds);
  const used = cpu(instance.child.pid) - cpuBefore;
  const loaded = rss(instance.child.pid);
  await sleep(300);
  const kept = stored(instance, database) - before;
  print(database === 'sqlite' ? 'P1' : 'P2', {
    accepted: `${result.perSecond}/s`, p50: result.p50, p99: result.p99, refused: result.bad,
    'cpu/message': `${Math.round((used / result.requests) * 1e6)}us`,
    answered: result.requests, stored: kept, rss: `${loaded.toFixed(0)}MB`,
    durability: database === 'sqlite' ? 'WAL FULL' : 'synchronous_commit=on',
  });
  if (kept < result.requests) throw new Error('answers without a stored message');
  if (database === 'sqlite') print('P10', { idle: `${idle.toFixed(0)}MB`, 'under P1': `${loaded.toFixed(0)}MB`, queued: kept + before });
  await instance.destroy();
}

/** P5: messages are queued first, then a worker drains them into smtp-sink; DKIM is on. */
async function deliver(database, total) {
  const instance = await prepared(database);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'opensend-bench-'));
  const port = await freePort();
  const sink = spawn('/usr/sbin/smtp-sink', ['-u', 'nobody', `127.0.0.1:${port}`, '512'], { stdio: 'ignore' });
  await sleep(300);
  instance.env.OPENSEND_TRANSPORT_URL = `smtp://127.0.0.1:${port}?tls=none`;
  await instance.start({}, ['--roles=api']);
  const lua = path.join(folder, 'body.lua');
  fs.writeFileSync(lua, fs.readFileSync(new URL('send.lua', import.meta.url), 'utf8').replace('33)', '150)'));
  while (stored(instance, database) < total) {
    spawnSync('wrk', ['-t1', '-c64', '-d1s', '-s', lua, `${instance.base}/emails`], { env: { ...process.env, OPENSEND_KEY: instance.token } });
  }
  await instance.stop();
  const queued = stored(instance, database);
  const count = () => Number(database === 'sqlite'
    ? execFileSync('sqlite3', ['-cmd', '.timeout 5000', path.join(instance.folder, 'data/opensend.db'), 'SELECT COUNT(*) FROM queue'], { encoding: 'utf8' })
    : execFileSync('psql', ['-qtA', instance.databaseUrl, '-c', 'SELECT COUNT(*) FROM queue'], { encoding: 'utf8' }));
  const start = process.hrtime.bigint();
  await instance.start({}, ['--roles=all']);
  const cpuBefore = cpu(instance.child.pid);
  await until('the queue is empty', async () => count() === 0, 300000);
  const took = Number(process.hrtime.bigint() - start) / 1e9;
  const used = cpu(instance.child.pid) - cpuBefore;
  const events = Number(database === 'sqlite'
    ? execFileSync('sqlite3', [path.join(instance.folder, 'data/opensend.db'), "SELECT COUNT(*) FROM events WHERE type='email.sent'"], { encoding: 'utf8' })
    : execFileSync('psql', ['-qtA', instance.databaseUrl, '-c', "SELECT COUNT(*) FROM events WHERE type='email.sent'"], { encoding: 'utf8' }));
  print('P5', { delivered: `${Math.round(queued / took)}/s`, database, messages: queued, 'email.sent': events, seconds: took.toFixed(1),
    'cpu/message': `${Math.round((used / queued) * 1e6)}us`, dkim: 'RSA-2048', rss: `${rss(instance.child.pid).toFixed(0)}MB` });
  await instance.destroy();
  sink.kill();
  fs.rmSync(folder, { recursive: true });
  return queued / took;
}

/** The peer of P5: Postfix between smtp-source and smtp-sink. */
async function postfix(total) {
  const folder = fs.mkdtempSync('/tmp/opensend-postfix-');
  fs.chmodSync(folder, 0o755);
  const [sinkPort, port] = [await freePort(), await freePort()];
  const sink = spawn('/usr/sbin/smtp-sink', ['-u', 'nobody', `127.0.0.1:${sinkPort}`, '512'], { stdio: 'ignore' });
  const config = path.join(folder, 'etc');
  execFileSync('cp', ['-r', '/etc/postfix', config]);
  fs.writeFileSync(path.join(config, 'main.cf'), [
    'compatibility_level = 3.6', `queue_directory = ${folder}/queue`, `data_directory = ${folder}/data`, 'mail_owner = postfix',
    'setgid_group = postdrop', 'command_directory = /usr/sbin', 'daemon_directory = /usr/lib/postfix/sbin', 'meta_directory = /etc/postfix',
    'shlib_directory = /usr/lib/postfix', 'inet_interfaces = 127.0.0.1', 'inet_protocols = ipv4', 'mydestination =', 'mynetworks = 127.0.0.0/8',
    `relayhost = [127.0.0.1]:${sinkPort}`, 'myhostname = bench.example', 'maillog_file = /var/log/opensend-bench-postfix.log',
    'smtpd_recipient_restrictions = permit_mynetworks, reject', 'default_destination_concurrency_limit = 50', ''].join('\n'));
  const master = fs.readFileSync(path.join(config, 'master.cf'), 'utf8').replace(/^smtp\s+inet.*$/m, `127.0.0.1:${port} inet n - n - - smtpd`).replace(/^(\S+\s+(?:unix|inet|pass)\s+\S+\s+\S+\s+)y/gm, '$1n');
  fs.writeFileSync(path.join(config, 'master.cf'), master);
  fs.mkdirSync(`${folder}/data`); fs.mkdirSync(`${folder}/queue`);
  execFileSync('chown', ['postfix', `${folder}/data`]);
  execFileSync('postfix', ['-c', config, 'start'], { stdio: 'ignore' });
  try {
    await sleep(1500);
    const start = process.hrtime.bigint();
    execFileSync('/usr/sbin/smtp-source', ['-s', '20', '-l', '4096', '-m', String(total), '-f', 'a@bench.example', '-t', 'b@example.com', `127.0.0.1:${port}`]);
    await until('postfix is empty', () => !/^[0-9A-F]/m.test(execFileSync('postqueue', ['-c', config, '-p'], { encoding: 'utf8' })), 300000);
    const took = Number(process.hrtime.bigint() - start) / 1e9;
    print('P5 peer', { postfix: `${Math.round(total / took)}/s`, messages: total, seconds: took.toFixed(1) });
    return total / took;
  } finally {
    spawnSync('postfix', ['-c', config, 'stop'], { stdio: 'ignore' });
    sink.kill();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** Answers 200 on kept connections and remembers when requests came; costs less than a web server. */
async function counter() {
  const state = { times: [] };
  const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
  const server = net.createServer((socket) => {
    let text = '';
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      for (;;) {
        const head = text.indexOf('\r\n\r\n');
        const length = head < 0 ? null : /content-length: (\d+)/i.exec(text.slice(0, head));
        if (!length || text.length < head + 4 + Number(length[1])) return;
        text = text.slice(head + 4 + Number(length[1]));
        state.times.push(Date.now());
        socket.write(answer);
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  return { state, url: `http://127.0.0.1:${server.address().port}/`, stop: () => server.close() };
}

/** P6: a thousand endpoints of twenty organizations; all answer, then a hundred never do. */
async function webhooks(database) {
  const receiver = await counter();
  const held = new Set();
  const hole = net.createServer((socket) => { held.add(socket); socket.on('error', () => {}); }).listen(0, '127.0.0.1');
  const endpoints = async (instance, keys, holes) => {
    for (const key of keys) {
      for (let i = 0; i < 50; i += 1) {
        const endpoint = i < holes ? `http://127.0.0.1:${hole.address().port}/` : receiver.url;
        const made = await instance.call('POST', '/webhooks', { key, body: { endpoint, events: ['suppression.added'] } });
        if (made.status !== 201) throw new Error(made.text);
      }
    }
  };
  const suppress = async (instance, key, name, count) => {
    const emails = Array.from({ length: count }, (_, i) => `${name}-${i}@bench.example`);
    const made = await instance.call('POST', '/suppressions/batch/add', { key, body: { emails } });
    if (made.status !== 201) throw new Error(made.text);
  };
  const start = async () => {
    const instance = await prepared(database, { ALLOW_PRIVATE_WEBHOOK_URLS: 'true', OPENSEND_RATELIMIT__KEY__ADMIN__RATE: '1000000/s', OPENSEND_RATELIMIT__KEY__ADMIN__BURST: '1000000' });
    const keys = Array.from({ length: 20 }, (_, i) => instance.key('--org', instance.run('orgs', 'create', '--name', `org${i}`).trim()));
    return { instance, keys };
  };

  const { instance, keys } = await start();
  await instance.start({}, ['--roles=api']);
  await endpoints(instance, keys, 0);
  for (let round = 0; round * 5 < seconds; round += 1) {
    for (const key of keys) await suppress(instance, key, `t${round}`, 50);
  }
  const total = Math.ceil(seconds / 5) * 20 * 50 * 50;
  await instance.stop();
  receiver.state.times.length = 0;
  await instance.start({}, ['--roles=all']);
  const cpuBefore = cpu(instance.child.pid);
  await until('all deliveries', () => receiver.state.times.length >= total, 600000);
  const took = (receiver.state.times[total - 1] - receiver.state.times[0]) / 1000;
  const used = cpu(instance.child.pid) - cpuBefore;
  print('P6', { delivered: `${Math.round(total / took)}/s`, database, deliveries: total, endpoints: 1000, seconds: took.toFixed(1),
    'cpu/delivery': `${Math.round((used / total) * 1e6)}us`, receiver: 'plain HTTP', rss: `${rss(instance.child.pid).toFixed(0)}MB` });
  await instance.destroy();

  const mixed = await start();
  await mixed.instance.start({}, ['--roles=all']);
  await endpoints(mixed.instance, mixed.keys, 5);
  const delays = [];
  for (let round = 0; round < Math.max(3, seconds / 2); round += 1) {
    receiver.state.times.length = 0;
    const began = Date.now();
    await Promise.all(mixed.keys.map((key) => suppress(mixed.instance, key, `m${round}`, 1)));
    await until('the others have it', () => receiver.state.times.length >= 900, 60000);
    delays.push(...receiver.state.times.map((at) => at - began));
  }
  delays.sort((a, b) => a - b);
  print('P6 isolation', { p50: `${delays[Math.floor(delays.length / 2)]}ms`, p99: `${delays[Math.floor(delays.length * 0.99)]}ms`, database,
    'never answer': 100, others: 900, hanging: held.size });
  for (const socket of held) socket.destroy();
  await mixed.instance.destroy();
  hole.close();
  receiver.stop();
}

const wanted = (name) => only.length === 0 || only.includes(name);
if (wanted('P1')) await accept('sqlite');
if (wanted('P2')) await accept('postgres');
if (wanted('P6')) {
  await webhooks('sqlite');
  await webhooks('postgres');
}
if (wanted('P5')) {
  const ours = await deliver('sqlite', 20000);
  await deliver('postgres', 20000);
  const peer = await postfix(3000);
  print('P5 ratio', { 'opensend/postfix': (ours / peer).toFixed(1) });
}
