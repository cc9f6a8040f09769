// What the end-to-end tests share: a server of its own per test, mail servers, webhook receivers.
import { spawn, execFileSync } from 'node:child_process';
import { createServer } from 'node:http';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { unwatch, watch } from './openapi.mjs';

export const build = process.env.OPENSEND_BUILD;
if (!build) throw new Error('OPENSEND_BUILD names the build folder');
const binary = path.join(build, 'bin/opensend');

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Polls until `probe` gives something truthy; fails after `ms`. */
export async function until(what, probe, ms = 30000) {
  const end = Date.now() + ms;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > end) throw new Error(`timed out: ${what}`);
    await sleep(25);
  }
}

export async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

let databases = 0;
/** A fresh database URL: "sqlite" (a file in `folder`) or "postgres" (OPENSEND_TEST_POSTGRES). */
export function makeDatabase(kind, folder) {
  if (kind === 'sqlite') return `sqlite:${folder}/data/opensend.db`;
  const admin = process.env.OPENSEND_TEST_POSTGRES;
  if (!admin) throw new Error('OPENSEND_TEST_POSTGRES is not set: run under contrib/ci/with-postgres');
  const name = `e2e_${process.pid}_${databases++}`;
  execFileSync('psql', ['-q', admin, '-c', `CREATE DATABASE ${name}`]);
  const url = new URL(admin);
  url.pathname = `/${name}`;
  return url.toString();
}

/** One instance with its folder, database and key; `start` and `stop` may alternate. With `watched` its
 *  answers are held against its OpenAPI document, which costs one anonymous request. */
export class Instance {
  constructor({ database = 'sqlite', env = {}, watched = true } = {}) {
    this.watched = watched;
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'opensend-e2e-'));
    fs.mkdirSync(path.join(this.folder, 'data'), { mode: 0o700 });
    this.databaseUrl = makeDatabase(database, this.folder);
    this.env = env;
    this.log = '';
  }
  environment() {
    return {
      PATH: process.env.PATH,
      HOME: this.folder,
      ASAN_OPTIONS: process.env.ASAN_OPTIONS ?? '',
      LSAN_OPTIONS: process.env.LSAN_OPTIONS ?? '',
      UBSAN_OPTIONS: process.env.UBSAN_OPTIONS ?? '',
      TSAN_OPTIONS: process.env.TSAN_OPTIONS ?? '',
      OPENSEND_DATA_DIR: path.join(this.folder, 'data'),
      OPENSEND_PLUGINS__DIR: path.join(build, 'plugins'),
      DATABASE_URL: this.databaseUrl,
      WEBHOOK_SECRET_ENCRYPTION_KEY: '7f'.repeat(8) + '3c19ab04d5e6f708'.repeat(3),
      PORT: String(this.port ?? 3015),
      OPENSEND_ADMIN__PORT: String(this.adminPort ?? 3017),
      // The buckets stay on, above what the tests do.
      OPENSEND_RATELIMIT__ORG__API__RATE: '100000/s',
      OPENSEND_RATELIMIT__ORG__API__BURST: '100000',
      OPENSEND_RATELIMIT__KEY__API__RATE: '100000/s',
      OPENSEND_RATELIMIT__KEY__API__BURST: '100000',
      OPENSEND_RATELIMIT__KEY__ADMIN__RATE: '100000/s',
      OPENSEND_RATELIMIT__KEY__ADMIN__BURST: '100000',
      OPENSEND_RATELIMIT__ADDR__AUTHFAIL__BURST: '1000',
      OPENSEND_RATELIMIT__ORG__EXPORT__BURST: '100000',
      ...this.env,
    };
  }
  /** Runs a command of the program and returns its standard output. */
  run(...args) {
    return execFileSync(binary, args, { cwd: this.folder, env: this.environment(), encoding: 'utf8' });
  }
  async prepare() {
    this.port = await freePort();
    this.adminPort = await freePort();
    this.base = `http://127.0.0.1:${this.port}`;
    this.env.OPENSEND_URL ??= `http://localhost:${this.port}`;
    this.run('migrate');
    return this;
  }
  key(...args) {
    return this.run('keys', 'create', ...args).trim();
  }
  async start(extra = {}, args = []) {
    const child = spawn(binary, ['serve', ...args], { cwd: this.folder, env: { ...this.environment(), ...extra } });
    this.child = child;
    this.exited = new Promise((done) => child.once('exit', (code, signal) => done({ code, signal })));
    const keep = (chunk) => { this.log = (this.log + chunk).slice(-200000); };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    let gone = false;
    this.exited.then(() => { gone = true; });
    await until('the server is up', async () => {
      if (gone) throw new Error(`the server ended at start:\n${this.log}`);
      try { return (await fetch(`${this.base}/livez`)).ok; } catch { return false; }
    });
    if (this.watched) this.watcher = await watch(this.base);
    return this;
  }
  async stop(signal = 'SIGTERM') {
    this.child.kill(signal);
    const end = await this.exited;
    if (signal === 'SIGTERM' && end.code !== 0) throw new Error(`exit ${JSON.stringify(end)}:\n${this.log}`);
    return end;
  }
  async destroy() {
    if (this.child && this.child.exitCode === null && this.child.signalCode === null) await this.stop();
    fs.rmSync(this.folder, { recursive: true, force: true });
    unwatch(this.base);
    // Some clients turn what is thrown at them into an answer.
    if (this.watcher?.violations.length) throw new Error(this.watcher.violations[0]);
  }
  /** One call of the API: {status, headers, body}. `body` is sent as it is when it is a string. */
  async call(method, route, { key, body, headers = {} } = {}) {
    const all = { ...headers };
    if (key) all.Authorization ??= `Bearer ${key}`;
    if (body !== undefined && !Object.keys(all).some((h) => h.toLowerCase() === 'content-type')) {
      all['Content-Type'] = 'application/json';
    }
    const sent = body === undefined || typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
    const response = await fetch(this.base + route, { method, headers: all, body: sent });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, body: /json/.test(response.headers.get('content-type') ?? '') && text ? JSON.parse(text) : null };
  }
  /** The capture plugin's messages. */
  captured() {
    const folder = path.join(this.folder, 'data/capture/new');
    if (!fs.existsSync(folder)) return [];
    return fs.readdirSync(folder).map((name) => fs.readFileSync(path.join(folder, name), 'latin1'));
  }
}

/** Postfix's smtp-sink; its messages are files of `folder`. */
export async function smtpSink(folder) {
  const port = await freePort();
  fs.mkdirSync(folder, { recursive: true });
  fs.chmodSync(folder, 0o777);
  const child = spawn('/usr/sbin/smtp-sink', ['-u', 'nobody', '-R', folder, '-d', 'm.', `127.0.0.1:${port}`, '256'],
    { stdio: ['ignore', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (chunk) => { errors += chunk; });
  await until('smtp-sink listens', () => new Promise((done, fail) => {
    if (child.exitCode !== null) fail(new Error(`smtp-sink ended: ${errors}`));
    const probe = net.connect(port, '127.0.0.1', () => { probe.destroy(); done(true); });
    probe.once('error', () => done(false));
  }));
  return {
    port,
    messages: () => fs.readdirSync(folder).map((name) => fs.readFileSync(path.join(folder, name), 'latin1'))
      .filter((text) => text.includes('\nX-Mail-Args:') || text.includes('MAIL FROM') || text.length > 0),
    stop: () => child.kill(),
  };
}

/** A certificate authority and a server certificate for 127.0.0.1 and localhost. */
export function makeCertificates(folder) {
  fs.mkdirSync(folder, { recursive: true });
  const file = (name) => path.join(folder, name);
  const openssl = (...args) => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=test authority',
    '-keyout', file('ca.key'), '-out', file('ca.pem'));
  openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=localhost',
    '-keyout', file('server.key'), '-out', file('server.csr'));
  fs.writeFileSync(file('ext'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
  openssl('x509', '-req', '-in', file('server.csr'), '-CA', file('ca.pem'), '-CAkey', file('ca.key'),
    '-CAcreateserial', '-days', '2', '-extfile', file('ext'), '-out', file('server.pem'));
  return { ca: file('ca.pem'), key: file('server.key'), cert: file('server.pem') };
}

/** TLS in front of a plain port, since smtp-sink speaks none. */
export async function tlsFront(certificates, target) {
  const server = tls.createServer(
    { key: fs.readFileSync(certificates.key), cert: fs.readFileSync(certificates.cert) },
    (outer) => {
      const inner = net.connect(target, '127.0.0.1');
      outer.pipe(inner).pipe(outer);
      outer.on('error', () => inner.destroy());
      inner.on('error', () => outer.destroy());
    });
  let handshakes = 0;
  server.on('secureConnection', () => { handshakes += 1; });
  server.listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  return { port: server.address().port, handshakes: () => handshakes, stop: () => server.close() };
}

/** Keeps every webhook request; `answer` decides the status. */
export async function webhookReceiver(answer = () => 200) {
  const requests = [];
  const server = createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const entry = { headers: request.headers, body: Buffer.concat(chunks).toString('utf8'), at: Date.now() };
      requests.push(entry);
      response.statusCode = answer(entry, requests.length);
      response.end('ok');
    });
  });
  server.listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  return { url: `http://127.0.0.1:${server.address().port}/hook`, requests, stop: () => server.closeAllConnections() ?? server.close() };
}
