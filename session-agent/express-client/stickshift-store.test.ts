import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { agreeable } from '../../test/services/scripted-agent.ts';
import {
  cart,
  HOUR,
  holding,
  isUnavailable,
  itemOf,
  storeAndAgent,
} from '../../test/services/stickshift-store-under-test.ts';
import { StickshiftStore } from './stickshift-store.ts';

describe('a store whose agent is there', () => {
  test('gives back what was set, as objects of one’s own', async (t) => {
    const { store } = await storeAndAgent(t);
    const original = cart('tea');
    await store.set('a', original);
    original.item = 'changed afterwards';
    const [one, two] = [await store.get('a'), await store.get('a')];
    assert.equal(itemOf(one), 'tea');
    assert.notEqual(one, two);
  });

  test('set calls back only when the agent has taken note', async (t) => {
    const { agent, store } = await storeAndAgent(t);
    agent.answer = (message) => (message.t === 'hello' ? agreeable(message) : undefined);
    let done = false;
    const setting = store.set('a', cart('tea')).then(() => {
      done = true;
    });
    const { n, data } = await agent.hears('set');
    assert.equal(itemOf(JSON.parse(data)), 'tea');
    assert.equal(done, false);
    agent.say({ t: 'ok', n });
    await setting;
  });

  test('nobody reads a change before that', async (t) => {
    const { agent, store } = await storeAndAgent(t);
    await store.set('a', cart('tea'));
    agent.answer = () => undefined;
    const setting = store.set('a', cart('cake'));
    const read: unknown[] = [];
    const reading = store.get('a').then((session) => read.push(itemOf(session)));
    const { n } = await agent.hears('set', 2);
    assert.deepEqual(read, []);
    agent.say({ t: 'ok', n });
    await Promise.all([setting, reading]);
    assert.deepEqual(read, ['cake']);
  });

  test('the idle deadline comes from the cookie, from the call, or from `ttl`', async (t) => {
    const { agent, store } = await storeAndAgent(t, { ttl: 2 * HOUR });
    const at = Date.now() + 5 * HOUR;
    await store.set('expires', { cookie: { expires: new Date(at), originalMaxAge: 1 } });
    await store.set('expires as text', { cookie: { expires: new Date(at).toISOString() } });
    await store.set('max age', { cookie: { expires: null, originalMaxAge: 3 * HOUR } });
    await store.set('koa', { _maxAge: 1 }, 4 * HOUR);
    await store.set('neither', { cookie: { expires: null, originalMaxAge: null } });
    const hours = agent.all('set').map(({ idleAt }) => Math.round((idleAt - Date.now()) / HOUR));
    assert.deepEqual(hours, [5, 5, 3, 4, 2]);
  });

  test('a deadline that is none, or out of time, is one that the agent takes', async (t) => {
    const { agent, store } = await storeAndAgent(t, { ttl: Number.POSITIVE_INFINITY });
    const cookie = { expires: null, originalMaxAge: null };
    await store.set('without end', { cookie });
    await store.set('nor that of the call', {}, Number.POSITIVE_INFINITY);
    await store.set('no number', { cookie }, Number.NaN);
    const last = new Date(8.64e15).getTime();
    const deadlines = agent.all('set').map(({ idleAt }) => idleAt);
    assert.deepEqual(deadlines, [last, last, last]);
    assert.ok(await store.get('without end'));
    await store.touch('no number', { cookie: { expires: new Date(-1) } });
    assert.equal((await agent.hears('touch')).idleAt, 0);
  });

  test('an expired session is a miss, and the agent is asked', async (t) => {
    const { agent, store } = await storeAndAgent(t);
    agent.answer = holding({});
    await store.set('a', { cookie: { expires: new Date(Date.now() - 1) } });
    assert.equal(await store.get('a'), null);
    assert.equal(agent.all('load').length, 1);
    assert.equal(await store.length(), 0);
  });

  test('touch moves the deadline, also the one in the cookie, and waits for nobody', async (t) => {
    const { agent, store } = await storeAndAgent(t);
    const expires = new Date(Date.now() + HOUR);
    await store.set('a', { cookie: { expires, originalMaxAge: HOUR }, item: 'tea' });
    const later = new Date(expires.getTime() + HOUR);
    await store.touch('a', { cookie: { expires: later } });
    assert.equal((await store.get('a'))?.cookie?.expires, later.toISOString());
    assert.equal((await agent.hears('touch')).idleAt, later.getTime());
  });

  test('a touch of an unknown session tells the agent nothing', async (t) => {
    const { agent, store } = await storeAndAgent(t);
    await store.touch('nobody', cart('tea'));
    await store.set('a', cart('tea'));
    assert.deepEqual(agent.all('touch'), []);
  });

  test('a miss asks the agent, and keeps the answer', async (t) => {
    const { agent, store } = await storeAndAgent(t);
    agent.answer = holding({ a: cart('tea') });
    assert.equal(itemOf(await store.get('a')), 'tea');
    assert.equal(itemOf(await store.get('a')), 'tea');
    assert.equal(agent.all('load').length, 1);
    assert.equal(await store.get('b'), null);
  });

  test('misses of the same session at the same time are one question', async (t) => {
    const { agent, store } = await storeAndAgent(t);
    agent.answer = (message) => (message.t === 'load' ? undefined : agreeable(message));
    const asking = [store.get('a'), store.get('a'), store.get('a')];
    const { n } = await agent.hears('load');
    agent.say({ t: 'session', n, data: JSON.stringify(cart('tea')), idleAt: Date.now() + HOUR });
    assert.deepEqual((await Promise.all(asking)).map(itemOf), ['tea', 'tea', 'tea']);
    assert.equal(agent.all('load').length, 1);
  });

  test('a miss that the agent cannot look up is an error, never an absent session', async (t) => {
    const { agent, store } = await storeAndAgent(t);
    agent.answer = (message) =>
      message.t === 'load'
        ? { t: 'error', n: message.n, code: 'STORE_UNREACHABLE', message: 'no store' }
        : agreeable(message);
    await assert.rejects(store.get('a'), { code: 'STORE_UNREACHABLE', status: 503 });
  });

  test('a session that this server may not keep is dropped, and set fails', async (t) => {
    for (const code of ['FENCED', 'ENDED']) {
      const { agent, store } = await storeAndAgent(t);
      agent.answer = (message) =>
        message.t === 'set' ? { t: 'error', n: message.n, code, message: 'no' } : agreeable(message);
      await assert.rejects(store.set('a', cart('tea')), { code });
      assert.equal(await store.length(), 0);
    }
  });

  test('destroy calls back when the tombstone stands, and fails when it does not', async (t) => {
    const { agent, store } = await storeAndAgent(t);
    await store.set('a', cart('tea'));
    await store.destroy('a');
    assert.equal(await store.length(), 0);
    agent.answer = (message) =>
      message.t === 'destroy'
        ? { t: 'error', n: message.n, code: 'STORE_UNREACHABLE', message: 'no store' }
        : agreeable(message);
    await assert.rejects(store.destroy('b'), { code: 'STORE_UNREACHABLE' });
  });

  test('while a logout is on its way nothing brings the session back', async (t) => {
    const { agent, store } = await storeAndAgent(t);
    await store.set('a', cart('tea'));
    agent.answer = (message) => (message.t === 'destroy' ? undefined : holding({ a: cart('old') })(message));
    const destroying = store.destroy('a');
    const { n } = await agent.hears('destroy');
    assert.equal(await store.get('a'), null);
    await assert.rejects(store.set('a', cart('tea')), { code: 'ENDED' });
    agent.say({ t: 'install', n: 7, id: 'a', data: '{}', idleAt: Date.now() + HOUR });
    const refusal = await agent.hears('error');
    assert.deepEqual([refusal.n, refusal.code], [7, 'ENDED']);
    agent.say({ t: 'ok', n });
    await destroying;
  });

  test('destroying without a callback never ends the process', async (t) => {
    const { store } = await storeAndAgent(t, { away: true, timeout: 100 });
    void store.destroy('a');
    await assert.rejects(store.destroy('b'), isUnavailable);
  });

  test('all, length and clear are about the sessions in this process', async (t) => {
    const { agent, store } = await storeAndAgent(t);
    await store.set('a', cart('tea'));
    await store.set('__proto__', cart('cake'));
    await store.set('gone', { cookie: { expires: new Date(0) } });
    const all = await store.all();
    assert.deepEqual(
      Object.entries(all).map(([id, session]) => [id, itemOf(session)]),
      [
        ['a', 'tea'],
        ['__proto__', 'cake'],
      ],
    );
    assert.equal(await store.length(), 2);
    await store.clear();
    assert.equal(await store.length(), 0);
    assert.deepEqual(
      agent.all('destroy').map(({ id }) => id),
      ['a', '__proto__'],
    );
  });

  test('calls back as express-session expects', async (t) => {
    const { store } = await storeAndAgent(t);
    await new Promise<void>((resolve, reject) => {
      store.set('a', cart('tea'), (error) => (error ? reject(error) : resolve()));
    });
    const found = await new Promise((resolve, reject) => {
      store.get('a', (error, session) => (error ? reject(error) : resolve(session)));
    });
    assert.equal(itemOf(found), 'tea');
  });

  test('what cannot become JSON fails to be set', async (t) => {
    const { store } = await storeAndAgent(t);
    const circular: Record<string, unknown> = {};
    circular.self = circular;
    await assert.rejects(store.set('a', circular), TypeError);
  });
});

describe('what the agent asks of a store', () => {
  test('capture gives a session’s newest bytes, or null', async (t) => {
    const { agent, store } = await storeAndAgent(t);
    await store.set('a', cart('tea'));
    agent.say({ t: 'capture', n: 1, id: 'a' });
    agent.say({ t: 'capture', n: 2, id: 'b' });
    await agent.hears('session', 2);
    const [one, two] = agent.all('session');
    assert.equal(itemOf(JSON.parse(one?.data ?? 'null')), 'tea');
    assert.deepEqual([two?.n, two?.data], [2, null]);
  });

  test('install and forget put sessions in and take them out', async (t) => {
    const { agent, store } = await storeAndAgent(t);
    const idleAt = Date.now() + HOUR;
    agent.say({ t: 'install', n: 1, id: 'a', data: JSON.stringify(cart('moved')), idleAt });
    await agent.hears('ok');
    assert.equal(itemOf(await store.get('a')), 'moved');
    agent.say({ t: 'forget', n: 2, id: 'a' });
    await agent.hears('ok', 2);
    assert.equal(await store.length(), 0);
  });

  test('a message from the future is ignored', async (t) => {
    const { agent, store } = await storeAndAgent(t);
    agent.sayRaw('{"t":"pin","n":1,"id":"a"}\n');
    await store.set('a', cart('tea'));
    assert.equal(agent.connections, 1);
  });

  test('a malformed line ends the connection, and the store connects anew', async (t) => {
    const { agent, store } = await storeAndAgent(t);
    const lines = ['not json', 'null', '{"t":"install","n":1,"id":"a","data":7,"idleAt":1}', 'x'.repeat(9)];
    for (const line of lines) {
      const again = once(store, 'agentUp');
      agent.sayRaw(`${line}\n`);
      await again;
    }
    assert.equal(agent.connections, 1 + lines.length);
    await store.set('a', cart('tea'));
    assert.equal(await store.length(), 1);
  });
});

describe('a store in a process', () => {
  test('needs a token over TCP', () => {
    assert.throws(() => new StickshiftStore({ agent: '127.0.0.1:9100' }), /token/);
  });

  test('alone does not keep the process alive, whether the agent is there or not', async (t) => {
    const { agent } = await storeAndAgent(t);
    const module = join(import.meta.dirname, 'stickshift-store.ts');
    for (const path of [agent.path, `${agent.path}.none`]) {
      const script = `
        import { StickshiftStore } from ${JSON.stringify(module)};
        const store = new StickshiftStore({ agent: ${JSON.stringify(path)} });
        const awake = setTimeout(() => {}, 30_000);
        const say = (word) => {
          process.stdout.write(word);
          clearTimeout(awake);
        };
        store.once('agentUp', () => say('up')).once('agentDown', () => say('down'));
      `;
      const args = ['--input-type=module', '--eval', script];
      const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 });
      assert.equal(stdout, path === agent.path ? 'up' : 'down');
    }
  });

  test('never tells express-session that it is disconnected', async (t) => {
    const { agent, store } = await storeAndAgent(t);
    let disconnected = false;
    store.on('disconnect', () => {
      disconnected = true;
    });
    const down = once(store, 'agentDown');
    await agent.die();
    await down;
    assert.equal(disconnected, false);
  });

  test('a closed store answers from memory and refuses the rest', async (t) => {
    const { store } = await storeAndAgent(t);
    await store.set('a', cart('tea'));
    store.close();
    assert.equal(itemOf(await store.get('a')), 'tea');
    await assert.rejects(store.get('b'), isUnavailable);
    await assert.rejects(store.destroy('a'), isUnavailable);
  });
});
