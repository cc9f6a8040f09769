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
// In expectations JSON is compared as "at least these members" ("=> 201 =" means exactly), and texts
// may hold ${uuid}, ${time}, ${number}, ${text}, ${name:kind} to keep what was found, and ${name} for
// what was kept. `times 3` after the caller repeats a request; `eventually` tries for some seconds
// until the answer fits.
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
};
const requestLine = /^(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) (\S+)(?:\s+as (\w+))?(?:\s+times (\d+))?(\s+eventually)?$/;

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
      step = { where, method: request[1], path: request[2], as: request[3], times: Number(request[4] ?? 1), eventually: Boolean(request[5]),
        headers: {}, body: '', want: null };
      steps.push(step);
      part = 'request';
    } else if (line.startsWith('=>')) {
      if (!step) throw new Error(`${where}: an answer without a request`);
      const answer = /^=> (\d{3})( =)?$/.exec(line.trim());
      if (!answer) throw new Error(`${where}: not an answer`);
      step.want = { status: Number(answer[1]), exact: Boolean(answer[2]), headers: {}, body: '' };
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

function fill(text, kept) {
  return text.replace(/\$\{(\w+)\}/g, (whole, name) => {
    if (name in kept) return kept[name];
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
  assert.equal(got, want, `${at} is ${JSON.stringify(got)}`);
}

function match(want, got, exact, kept, at) {
  if (typeof want === 'string') return matchText(want, got, kept, at);
  if (Array.isArray(want)) {
    assert.ok(Array.isArray(got), `${at} is no list but ${JSON.stringify(got)}`);
    assert.equal(got.length, want.length, `${at} has ${got.length} entries: ${JSON.stringify(got)}`);
    want.forEach((each, index) => match(each, got[index], exact, kept, `${at}[${index}]`));
    return undefined;
  }
  if (want !== null && typeof want === 'object') {
    assert.ok(got !== null && typeof got === 'object' && !Array.isArray(got), `${at} is ${JSON.stringify(got)}`);
    if (exact) assert.deepEqual(Object.keys(got).sort(), Object.keys(want).sort(), `members of ${at}`);
    for (const [name, value] of Object.entries(want)) {
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
  const headers = {};
  for (const [name, value] of Object.entries(step.headers)) headers[name] = fill(value, kept);
  if (step.as && !(step.as in kept)) throw new Error(`${step.where}: no caller is named ${step.as}`);
  const body = step.body ? fill(step.body.trimEnd(), kept) : undefined;
  for (let round = 0; round < step.times; round += 1) {
    const all = { ...headers };
    if (step.as) all.Authorization = `Bearer ${kept[step.as]}`;
    if (body !== undefined && !Object.keys(all).some((h) => h.toLowerCase() === 'content-type')) {
      all['Content-Type'] = 'application/json';
    }
    const response = await fetch(instance.base + fill(step.path, kept), { method: step.method, headers: all, body });
    const text = await response.text();
    const at = `${step.where} ${step.method} ${step.path}`;
    assert.equal(response.status, step.want.status, `${at}: ${text}`);
    for (const [name, value] of Object.entries(step.want.headers)) {
      matchText(fill(value, kept), response.headers.get(name), kept, `${at} header ${name}`);
    }
    const want = fill(step.want.body.trim(), kept);
    if (!want) continue;
    if (/^[[{"]/.test(want)) match(JSON.parse(want), JSON.parse(text), step.want.exact, kept, `${at} answer`);
    else assert.equal(text.trim(), want, at);
  }
}
