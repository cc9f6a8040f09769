// A transport of a third party runs in a process of its own. That process is killed again and again
// while mail is sent: the server stays up and every message is accounted for.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { build, Instance, sleep, until } from './support.mjs';

const mail = { from: 'ada@example.dev', to: ['friend@example.com'], subject: 'Hi', text: 'Hello' };

/** Ids of the server's worker processes. */
function workers(server) {
  const pids = [];
  for (const thread of fs.readdirSync(`/proc/${server}/task`)) {
    let children = '';
    try { children = fs.readFileSync(`/proc/${server}/task/${thread}/children`, 'utf8'); } catch { continue; }
    pids.push(...children.split(' ').filter(Boolean).map(Number));
  }
  return pids;
}

test('500 messages through a worker that is killed again and again', async () => {
  const instance = await new Instance().prepare();
  try {
    Object.assign(instance.env, {
      OPENSEND_PLUGINS__ENABLED: 'api_key, memory_limit, echo',
      OPENSEND_PLUGINS__ECHO__FILE: path.join(build, 'plugins_bad/echo_transport.so'),
      OPENSEND_TRANSPORT__NAMES: 'relay',
      OPENSEND_TRANSPORT__RELAY__PLUGIN: 'echo',
      OPENSEND_SEND__UNKNOWN_POLICY: 'hold',
    });
    instance.run('domains', 'add', 'example.dev', '--i-own-this-domain');
    const key = instance.key();
    await instance.start();
    const first = await until('a worker runs', () => workers(instance.child.pid)[0]);
    const environment = fs.readFileSync(`/proc/${first}/environ`, 'utf8');
    assert.equal(environment, 'LC_ALL=C.UTF-8\0');

    let over = false;
    let kills = 0;
    const killer = (async () => {
      while (!over) {
        for (const pid of workers(instance.child.pid)) {
          try { process.kill(pid, 'SIGKILL'); kills += 1; } catch { /* it is gone already */ }
        }
        await sleep(400);
      }
    })();
    const accepted = [];
    const sender = async () => {
      while (accepted.length < 500) {
        const answer = await instance.call('POST', '/emails', { key, body: mail });
        assert.equal(answer.status, 200, answer.text);
        accepted.push(answer.body.id);
      }
    };
    await Promise.all(Array.from({ length: 4 }, sender));
    over = true;
    await killer;
    assert.ok(kills >= 2, `it was killed: ${kills}`);

    const states = new Map();
    const settled = (status) => status === 'sent' || status === 'unknown';
    await until('every message is sent or its outcome unknown', async () => {
      for (const id of accepted) {
        if (settled(states.get(id))) continue;
        states.set(id, (await instance.call('GET', `/emails/${id}`, { key })).body.status);
      }
      return accepted.every((id) => settled(states.get(id)));
    }, 120000);
    const sent = [...states.values()].filter((status) => status === 'sent').length;
    assert.ok(sent > 0);
    assert.equal(instance.child.exitCode, null);
    await until('a worker runs again', () => workers(instance.child.pid)[0]);
    const left = workers(instance.child.pid);
    await instance.stop();
    await until('no worker is left', () => left.every((pid) => !fs.existsSync(`/proc/${pid}`)));
  } finally {
    await instance.destroy();
  }
});

test('workers end with a server that is killed', async () => {
  const instance = await new Instance().prepare();
  try {
    Object.assign(instance.env, {
      OPENSEND_TRANSPORT_URL: 'capture:///',
      OPENSEND_PLUGINS__MEMORY_LIMIT__ISOLATION: 'worker',
    });
    instance.key();
    await instance.start();
    const pids = await until('a worker runs', () => {
      const all = workers(instance.child.pid);
      return all.length > 0 && all;
    });
    await instance.stop('SIGKILL');
    await until('no worker is left', () => pids.every((pid) => !fs.existsSync(`/proc/${pid}`)));
  } finally {
    await instance.destroy();
  }
});
