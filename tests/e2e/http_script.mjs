// Reads and plays the files of tests/api: requests and what must come back, as text.
//
//   # A sentence that holds
//   POST /contacts as full_key
//   Idempotency-Key: abc
//   {"email": "ada@example.com"}
//   => 201
//   Some-Header: value
//   {"id": "${uuid:contact}"}
//
// tests/api/README.md describes the format.
import assert from 'node:assert/strict';
import fs from 'node:fs';

const kinds = {
  uuid: /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  time: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
  number: /^\d+$/,
  event: /^msg_[0-9A-Za-z]{22}$/,
  token: /^os_[0-9A-Za-z]{50}$/,
  secret: /^whsec_[A-Za-z0-9+/]+=*$/,
  text: /^[\s\S]+$/,
  absent: /^$/,
};
const requestLine = /^(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) (\S+)(?:\s+as (\w+))?(?:\s+(times|together) (\d+))?(\s+eventually)?$/;
const absent = '${absent}';
const empty = '${empty}';

/** Steps of a script. Throws with file and line for what is not understood. */
export function parseScript(file) {
  const lines = fs.readFileSync(file, 'utf8').split('\n');
  const steps = [];
  let title = '';
  let part = null;
  let step = null;
  lines.forEach((line, index) => {
    const where = `${file}:${index + 1}`;
    const request = requestLine.exec(line.trim());
    if (part !== 'body' && line.startsWith('#')) {
      if (!title) title = line.replace(/^#+\s*/, '');
    } else if (request && part !== 'request') {
      step = { where, method: request[1], path: request[2], as: request[3], times: Number(request[5] ?? 1), together: request[4] === 'together',
        eventually: Boolean(request[6]), headers: {}, body: '', want: null };
      steps.push(step);
      part = 'request';
    } else if (line.startsWith('=>')) {
      if (!step) throw new Error(`${where}: an answer without a request`);
      const answer = /^=> (\d{3}(?: or \d{3})*)( =)?$/.exec(line.trim());
      if (!answer) throw new Error(`${where}: not an answer`);
      step.want = { statuses: answer[1].split(' or ').map(Number), exact: Boolean(answer[2]), headers: {}, body: '' };
      part = 'answer';
    } else if (step) {
      const target = part === 'answer' ? step.want : step;
      const header = /^([A-Za-z][A-Za-z0-9-]*): (.*)$/.exec(line);
      if (header && !target.body) target.headers[header[1]] = header[2];
      else if (line.trim() || target.body) target.body += `${line}\n`;
    } else if (line.trim()) {
      throw new Error(`${where}: not understood`);
    }
  });
  if (!title) throw new Error(`${file}: the first line says what holds`);
  for (const each of steps) if (!each.want) throw new Error(`${each.where}: no answer is expected`);
  if (steps.length === 0) throw new Error(`${file}: no request`);
  return { title, steps };
}

/** What stands for itself in requests and answers: repeated texts and numbered lists. */
function generate(text) {
  return text
    .replace(/\$\{repeat:([^:}]+):(\d+)\}/g, (whole, piece, count) => piece.repeat(Number(count)))
    .replace(/\$\{each:(\d+):(.*?):each\}/gs, (whole, count, piece) =>
      Array.from({ length: Number(count) }, (_, index) => piece.replaceAll('#', String(index))).join(','));
}

function fill(text, kept) {
  return generate(text).replace(/\$\{(\w+)\}/g, (whole, name) => {
    if (name in kept) return kept[name];
    if (name === 'now') return new Date().toISOString();
    if (name in kinds) return whole;
    throw new Error(`nothing is kept as ${name}`);
  });
}

function matchText(want, got, kept, at) {
  const whole = /^\$\{(?:(\w+):)?(\w+)\}$/.exec(want);
  if (whole && whole[2] in kinds) {
    assert.match(String(got), kinds[whole[2]], `${at} is ${JSON.stringify(got)}, not of kind ${whole[2]}`);
    if (whole[1]) kept[whole[1]] = String(got);
    return;
  }
  const filled = fill(want, kept);
  assert.equal(whole && typeof got !== 'object' ? String(got) : got, filled, `${at} is ${JSON.stringify(got)}`);
}

function matchHeader(want, got, kept, at) {
  if (want === absent) assert.equal(got, null, at);
  else matchText(want, got, kept, at);
}

function match(want, got, exact, kept, at) {
  const count = /^\$\{count:(\d+)\}$/.exec(want);
  if (typeof want === 'string' && count) return assert.equal(got.length, Number(count[1]), `${at} has ${got.length} entries`);
  if (typeof want === 'string') return matchText(want, got, kept, at);
  if (Array.isArray(want)) {
    assert.ok(Array.isArray(got), `${at} is no list but ${JSON.stringify(got)}`);
    assert.equal(got.length, want.length, `${at} has ${got.length} entries: ${JSON.stringify(got)}`);
    want.forEach((each, index) => match(each, got[index], exact, kept, `${at}[${index}]`));
    return undefined;
  }
  if (want !== null && typeof want === 'object') {
    assert.ok(got !== null && typeof got === 'object' && !Array.isArray(got), `${at} is ${JSON.stringify(got)}`);
    if (exact) assert.deepEqual(Object.keys(got).sort(), Object.keys(want).filter((name) => want[name] !== absent).sort(), `members of ${at}`);
    for (const [name, value] of Object.entries(want)) {
      if (value === absent) {
        assert.ok(!(name in got), `${at}.${name} is there: ${JSON.stringify(got)}`);
        continue;
      }
      assert.ok(name in got, `${at}.${name} is not there: ${JSON.stringify(got)}`);
      match(value, got[name], exact, kept, `${at}.${name}`);
    }
    return undefined;
  }
  assert.deepEqual(got, want, `${at} is ${JSON.stringify(got)}`);
  return undefined;
}

/** Plays one step; `kept` holds the keys of callers and what earlier steps kept. */
export async function playStep(instance, step, kept) {
  const end = Date.now() + (step.eventually ? 10000 : 0);
  for (;;) {
    try {
      return await playOnce(instance, step, kept);
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((done) => setTimeout(done, 50));
    }
  }
}

async function playOnce(instance, step, kept) {
  if (step.as && !(step.as in kept)) throw new Error(`${step.where}: no caller is named ${step.as}`);
  const round = () => playRound(instance, step, kept);
  if (step.together) return Promise.all(Array.from({ length: step.times }, round));
  for (let played = 0; played < step.times; played += 1) await round();
  return undefined;
}

async function playRound(instance, step, kept) {
  const headers = {};
  for (const [name, value] of Object.entries(step.headers)) headers[name.toLowerCase()] = fill(value, kept);
  if (step.as) headers.authorization ??= `Bearer ${kept[step.as]}`;
  // Bytes, since a client adds a type of its own to text.
  const body = step.body ? Buffer.from(fill(step.body.trimEnd(), kept)) : undefined;
  if (body) headers['content-type'] ??= 'application/json';
  for (const [name, value] of Object.entries(headers)) if (value === absent) delete headers[name];
  const url = instance.base + fill(step.path, kept);
  const response = await fetch(url, { method: step.method, headers, body, redirect: 'manual' });
  const text = await response.text();
  const at = `${step.where} ${step.method} ${step.path}`;
  const { want } = step;
  assert.ok(want.statuses.includes(response.status), `${at}: ${response.status} ${text}`);
  const mayBeEmpty = step.method === 'HEAD' || response.status === 204;
  assert.ok(text !== '' || mayBeEmpty, `${at}: an empty body`);
  for (const [name, value] of Object.entries(want.headers)) matchHeader(value, response.headers.get(name), kept, `${at} header ${name}`);
  const expected = want.body.trim();
  if (!expected) return;
  if (expected === empty) assert.equal(text, '', at);
  else if (/^[[{"]/.test(expected)) match(JSON.parse(generate(expected)), JSON.parse(text), want.exact, kept, `${at} answer`);
  else matchText(expected, text.trim(), kept, at);
}
