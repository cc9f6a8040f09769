// What bad plugins cost the server. Usage: contrib/ci/with-postgres --durable node benchmarks/load/isolation.mjs [seconds [rate]]
// The same load runs twice. Four transports of a third party, each in a worker process, take 91, 3, 3 and
// 3 % of the mail: first they are all healthy, then one crashes, one hangs and one leaks. Printed are the
// p99 of the API, the memory of the server's own process, their ratios, and what became of each message.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { Worker, isMainThread, parentPort } from 'node:worker_threads';
import { build, Instance, sleep, until } from '../../tests/e2e/support.mjs';

const seconds = Number(process.argv[2] ?? 30);
const rate = Number(process.argv[3] ?? 500);

/** The web service that the relays post to; in a thread of its own, so that the load does not slow it. */
function serve() {
  const seen = new Map();
  const server = http.createServer({ keepAliveTimeout: 600000 }, (request, response) => {
    let text = '';
    request.on('data', (chunk) => { text += chunk; });
    request.on('end', () => {
      const number = Number(/number-(\d+)-/.exec(text)?.[1]);
      seen.set(number, (seen.get(number) ?? 0) + 1);
      response.end('{}');
    });
  });
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
  parentPort.on('message', () => parentPort.postMessage([...seen]));
}

const answerOf = (worker) => new Promise((done) => worker.once('message', done));

async function prepared(port, hostile) {
  const instance = await new Instance({ env: { OPENSEND_HTTP__MAX_CONNECTIONS_PER_ADDRESS: '0',
    OPENSEND_RATELIMIT__ORG__SEND__RATE: '1000000/s', OPENSEND_RATELIMIT__ORG__SEND__BURST: '1000000' } }).prepare();
  const folder = path.join(instance.folder, 'plugins');
  fs.cpSync(path.join(build, 'plugins'), folder, { recursive: true });
  fs.copyFileSync(path.join(build, 'plugins_bad/http_relay.so'), path.join(folder, 'http_relay.so'));
  fs.chmodSync(path.join(folder, 'http_relay.so'), 0o644);
  instance.env.OPENSEND_PLUGINS__DIR = folder;
  const file = path.join(instance.folder, 'opensend.properties');
  const names = ['good', 'crash', 'hang', 'leak'];
  fs.writeFileSync(file, [
    'plugins.enabled = api_key, memory_limit, http_relay', `plugins.http_relay.grants.http = http://127.0.0.1:${port}`,
    'plugins.http_relay.memory = 256MiB', `transport.names = ${names.join(', ')}`,
    ...names.flatMap((name) => [`transport.${name}.plugin = http_relay`, `transport.${name}.config.url = http://127.0.0.1:${port}/`]),
    `group.default.members = ${names.map((name) => `${name}:${name === 'good' ? 91 : 3}:1`).join(', ')}`,
    'send.unknown_policy = hold',
    ...(hostile ? ['transport.crash.config.die_every = 2', 'transport.hang.config.hang_every = 2', 'transport.leak.config.leak_every = 2'] : []),
  ].join('\n') + '\n');
  instance.ours = ['--config', file];
  instance.run(...instance.ours, 'domains', 'add', 'bench.example', '--i-own-this-domain');
  instance.token = instance.key();
  return instance;
}

/** `rate` requests a second whatever the answers take; time is counted from when each was due. */
async function load(instance, agent) {
  const times = [];
  let accepted = 0;
  let refused = 0;
  let open = 0;
  const text = 'Thank you for your order. '.repeat(33);
  const send = (number, due) => {
    open += 1;
    const body = JSON.stringify({ from: 'Ada <ada@bench.example>', to: ['friend@example.com'], subject: `number-${number}-`, text });
    const request = http.request(`${instance.base}/emails`, { method: 'POST', agent, headers: {
      Authorization: `Bearer ${instance.token}`, 'Content-Type': 'application/json', 'Content-Length': body.length } }, (response) => {
      response.resume();
      response.on('end', () => {
        times.push(performance.now() - due);
        if (response.statusCode === 200) accepted += 1; else refused += 1;
        open -= 1;
      });
    });
    request.on('error', () => { refused += 1; open -= 1; });
    request.end(body);
  };
  const start = performance.now();
  const total = seconds * rate;
  for (let next = 0; next < total;) {
    const due = Math.min(total, Math.floor((performance.now() - start) / 1000 * rate));
    for (; next < due; ++next) send(next, start + next / rate * 1000);
    await sleep(2);
  }
  await until('each request has its answer', () => open === 0);
  times.sort((a, b) => a - b);
  return { accepted, refused, p50: times[times.length >> 1], p99: times[Math.floor(times.length * 0.99)] };
}

const memoryOf = (pid) => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;

async function run(hostile) {
  const sink = new Worker(new URL(import.meta.url));
  const instance = await prepared(await answerOf(sink), hostile);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 256 });
  try {
    await instance.start({}, instance.ours);
    let memory = 0;
    const watch = setInterval(() => { memory = Math.max(memory, memoryOf(instance.child.pid)); }, 200);
    const result = await load(instance, agent);
    const query = (sql) => execFileSync('sqlite3', ['-cmd', '.timeout 5000', path.join(instance.folder, 'data/opensend.db'), sql],
      { encoding: 'utf8', maxBuffer: 1 << 28 }).trim();
    // What the healthy transports can deliver is delivered; what was given to the bad ones waits or is unknown.
    let before = -1;
    await until('the queue has come to rest', async () => {
      await sleep(1500);
      const left = Number(query("SELECT COUNT(*) FROM emails WHERE status NOT IN ('sent', 'delivered', 'unknown')"));
      const rests = left === before;
      before = left;
      return rests;
    }, 120000);
    clearInterval(watch);
    const listed = JSON.parse(instance.run(...instance.ours, '--json', 'plugins', 'list')).instances;
    const deaths = listed.reduce((sum, one) => sum + (one.worker?.deaths ?? 0), 0);
    if (instance.child.exitCode !== null) throw new Error('the server ended');
    // In the middle of it: what is on its way counts as queued.
    await instance.stop('SIGKILL');
    const states = query('SELECT status, subject FROM emails').split('\n').map((line) => line.split('|'));
    sink.postMessage('');
    const seen = new Map(await answerOf(sink));
    const count = (...names) => states.filter(([status]) => names.includes(status)).length;
    const delivered = count('sent', 'delivered');
    const unknown = count('unknown');
    const queued = states.length - delivered - unknown;
    for (const [status, subject] of states) {
      const came = seen.get(Number(/number-(\d+)-/.exec(subject)[1])) ?? 0;
      if (came > 1) throw new Error(`${subject} was delivered ${came} times`);
      if ((status === 'sent' || status === 'delivered') && came !== 1) throw new Error(`${subject} is ${status} and was not delivered`);
    }
    if (states.length < result.accepted) throw new Error(`${result.accepted} accepted, ${states.length} stored`);
    if (hostile && deaths === 0) throw new Error('no worker died');
    console.log(`${hostile ? 'hostile' : 'healthy'}  accepted ${result.accepted}  refused ${result.refused}  = delivered ${delivered} + queued ${queued} + unknown ${unknown}`
      + `  p50 ${result.p50.toFixed(1)}ms  p99 ${result.p99.toFixed(1)}ms  rss ${memory.toFixed(0)}MB  worker deaths ${deaths}`);
    return { ...result, memory };
  } finally {
    agent.destroy();
    await instance.destroy();
    await sink.terminate();
  }
}

if (isMainThread) {
  const healthy = await run(false);
  const hostile = await run(true);
  console.log(`ratio  p99 ${(hostile.p99 / healthy.p99).toFixed(2)}  rss ${(hostile.memory / healthy.memory).toFixed(2)}`);
} else {
  serve();
}
