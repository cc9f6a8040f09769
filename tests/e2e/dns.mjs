// A small name server whose records the test publishes, over UDP and TCP, and a resolver for
// verifiers that answers from the same records.
import dgram from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';

const types = { A: 1, TXT: 16, MX: 15, CNAME: 5 };
const maxUdp = 512;

const encodeName = (name) => Buffer.concat([...name.split('.').filter(Boolean).map((label) => {
  const bytes = Buffer.from(label, 'latin1');
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}), Buffer.from([0])]);

function encodeData({ type, value, priority = 10 }) {
  if (type === 'MX') return Buffer.concat([Buffer.from([priority >> 8, priority & 255]), encodeName(value)]);
  if (type === 'CNAME') return encodeName(value);
  if (type === 'A') return Buffer.from(value.split('.').map(Number));
  const parts = [];
  for (let at = 0; at < value.length || at === 0; at += 255) parts.push(value.slice(at, at + 255));
  return Buffer.concat(parts.map((part) => Buffer.concat([Buffer.from([part.length]), Buffer.from(part, 'latin1')])));
}

export class NameServer {
  records = [];
  failing = new Set(); // names that get SERVFAIL
  truncated = 0;

  publish(fqdn, type, value, priority) { this.records.push({ fqdn: fqdn.toLowerCase(), type, value, priority }); }
  withdraw(fqdn) { this.records = this.records.filter((record) => record.fqdn !== fqdn); }
  find(name, type) {
    return this.records.filter((record) => record.fqdn === name.toLowerCase() && record.type === type);
  }

  answer(query, udp) {
    let at = 12;
    const labels = [];
    while (query[at] !== 0) {
      labels.push(query.toString('latin1', at + 1, at + 1 + query[at]));
      at += query[at] + 1;
    }
    const name = labels.join('.');
    const wanted = query.readUInt16BE(at + 1);
    const question = query.subarray(12, at + 5);
    const known = this.records.some((record) => record.fqdn === name.toLowerCase());
    const found = this.records.filter((record) => record.fqdn === name.toLowerCase()
      && (types[record.type] === wanted || record.type === 'CNAME'));
    const rcode = this.failing.has(name.toLowerCase()) ? 2 : (known ? 0 : 3);
    const build = (answers, truncated) => {
      const head = Buffer.alloc(12);
      query.copy(head, 0, 0, 2);
      head.writeUInt16BE(0x8180 | rcode | (truncated ? 0x0200 : 0), 2);
      head.writeUInt16BE(1, 4);
      head.writeUInt16BE(answers.length, 6);
      return Buffer.concat([head, question, ...answers.map((record) => {
        const data = encodeData(record);
        const fixed = Buffer.alloc(10);
        fixed.writeUInt16BE(types[record.type], 0);
        fixed.writeUInt16BE(1, 2);
        fixed.writeUInt32BE(1, 4);
        fixed.writeUInt16BE(data.length, 8);
        return Buffer.concat([encodeName(record.fqdn), fixed, data]);
      })]);
    };
    const whole = build(rcode === 0 ? found : [], false);
    if (!udp || whole.length <= maxUdp) return whole;
    this.truncated += 1;
    return build([], true);
  }

  async start() {
    this.tcp = net.createServer((socket) => {
      let data = Buffer.alloc(0);
      socket.on('error', () => socket.destroy());
      socket.on('data', (chunk) => {
        data = Buffer.concat([data, chunk]);
        if (data.length < 2 || data.length < data.readUInt16BE(0) + 2) return;
        const answer = this.answer(data.subarray(2), false);
        data = Buffer.alloc(0);
        socket.write(Buffer.concat([Buffer.from([answer.length >> 8, answer.length & 255]), answer]));
      });
    });
    // One number for both; what is free for one protocol may be taken for the other.
    for (;;) {
      this.udp = dgram.createSocket('udp4');
      this.udp.on('message', (query, peer) => this.udp.send(this.answer(query, true), peer.port, peer.address));
      this.udp.bind(0, '127.0.0.1');
      await once(this.udp, 'listening');
      this.port = this.udp.address().port;
      this.tcp.listen(this.port, '127.0.0.1');
      try {
        await once(this.tcp, 'listening');
        return this;
      } catch (error) {
        if (error.code !== 'EADDRINUSE') throw error;
        this.udp.close();
      }
    }
  }
  get address() { return `127.0.0.1:${this.port}`; }
  stop() { this.udp.close(); this.tcp.close(); }

  /** For mailauth: TXT answers as arrays of strings. */
  resolver() {
    return async (name, type) => {
      const found = this.find(name, type);
      if (found.length > 0) return found.map((record) => [record.value]);
      const error = new Error(`${name} ${type}: not found`);
      error.code = 'ENOTFOUND';
      throw error;
    };
  }
}
