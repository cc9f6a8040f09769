// What the edge cases of the contract need beside a server: the database behind its back, tokens,
// and bytes that no client would send.
import { execFileSync } from 'node:child_process';
import http from 'node:http';
import net from 'node:net';
import zlib from 'node:zlib';

/** Runs SQL on the instance's database; returns the rows as lines of columns joined with "|". */
export function sql(instance, text) {
  const output = instance.databaseUrl.startsWith('sqlite:')
    ? execFileSync('sqlite3', ['-cmd', '.timeout 5000', instance.databaseUrl.slice('sqlite:'.length), text], { encoding: 'utf8' })
    : execFileSync('psql', ['-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', instance.databaseUrl, '-c', text], { encoding: 'utf8' });
  return output.trim().split('\n').filter(Boolean);
}

const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** The token of a key reference and secret, with a right checksum. */
export function tokenOf(ref, secret) {
  const checked = `os_${ref}${secret}`;
  let sum = '';
  for (let rest = zlib.crc32(checked), i = 0; i < 6; i += 1, rest = Math.floor(rest / 62)) sum = digits[rest % 62] + sum;
  return checked + sum;
}
export const refOf = (token) => token.slice(3, 15);
export const randomText = (length) => Array.from({ length }, () => digits[Math.floor(Math.random() * 62)]).join('');

/** Writes the pieces to a fresh connection and returns all that comes until it ends. */
export function raw(instance, pieces) {
  return new Promise((done) => {
    let text = '';
    const socket = net.connect(instance.port, '127.0.0.1');
    socket.on('data', (chunk) => { text += chunk.toString('latin1'); });
    socket.on('error', () => {});
    socket.on('close', () => done({ text, status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]), sent: socket.bytesWritten - socket.writableLength }));
    const next = () => {
      for (;;) {
        const piece = pieces.next();
        if (piece.done || socket.destroyed) return;
        if (!socket.write(piece.value)) return void socket.once('drain', next);
      }
    };
    next();
  });
}

/** One request over the connections of `agent`: {status, body, port}. */
export function over(agent, instance, method, path, token) {
  return new Promise((done, fail) => {
    const request = http.request(`${instance.base}${path}`, { agent, method, headers: { Authorization: `Bearer ${token}` } }, (response) => {
      const { localPort: port } = response.socket;
      let text = '';
      response.on('data', (chunk) => { text += chunk; });
      response.on('end', () => done({ status: response.statusCode, body: JSON.parse(text), port }));
    });
    request.on('error', fail);
    request.end();
  });
}

export const mail = (more = {}) => ({ from: 'Ada <ada@example.dev>', to: 'friend@example.com', subject: 'Hello', text: 'Hi', ...more });
