import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { eventually } from '../../test/services/eventually.ts';
import { agreeable, ScriptedAgent } from '../../test/services/scripted-agent.ts';
import type { AppToAgent } from './app-link.ts';
import { StickshiftStore, type StickshiftStoreOptions } from './stickshift-store.ts';

const HOUR = 3_600_000;
const cart = (item: string) => ({ cookie: { originalMaxAge: HOUR }, item });
const itemOf = (session: unknown) => (session as { item?: string } | null)?.item;
const isUnavailable = { code: 'UNAVAILABLE', status: 503 };

interface Pair {
  readonly agent: ScriptedAgent;
  readonly store: StickshiftStore;
}

/** A store and its agent, which listens unless the test wants otherwise. */
async function pair(
  t: TestContext,
  options: Partial<StickshiftStoreOptions> & { away?: boolean } = {},
): Promise<Pair> {
  const { away, ...storeOptions } = options;
  const agent = await ScriptedAgent.make();
  if (!away) await agent.listen();
  const store = new StickshiftStore({ agent: agent.path, timeout: 10_000, ...storeOptions });
  store.on('agentDown', () => undefined);
  t.after(async () => {
    store.close();
    await agent[Symbol.asyncDispose]();
  });
  if (!away) await once(store, 'agentUp');
  return { agent, store };
}

/** Answers `load` with the sessions given, and the rest as usual. */
const holding = (sessions: Record<string, object>) => (message: AppToAgent) => {
  if (message.t !== 'load') return agreeable(message);
  const session = sessions[message.id];
  const data = session ? JSON.stringify(session) : null;
  return { t: 'session', n: message.n, data, idleAt: session ? Date.now() + HOUR : 0 } as const;
};

describe('a store whose agent is there', () => {
  test('gives back what was set, as objects of one’s own', async (t) => {
    const { store } = await pair(t);
    const original = cart('tea');
    await store.set('a', original);
    original.item = 'changed afterwards';
    const [one, two] = [await store.get('a'), await store.get('a')];
    assert.equal(itemOf(one), 'tea');
    assert.notEqual(one, two);
  });

  test('set calls back only when the agent has taken note', async (t) => {
    const { agent, store } = await pair(t);
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
    const { agent, store } = await pair(t);
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
    const { agent, store } = await pair(t, { ttl: 2 * HOUR });
    const at = Date.now() + 5 * HOUR;
    await store.set('expires', { cookie: { expires: new Date(at), originalMaxAge: 1 } });
    await store.set('expires as text', { cookie: { expires: new Date(at).toISOString() } });
    await store.set('max age', { cookie: { expires: null, originalMaxAge: 3 * HOUR } });
    await store.set('koa', { _maxAge: 1 }, 4 * HOUR);
    await store.set('neither', { cookie: { expires: null, originalMaxAge: null } });
    const hours = agent.all('set').map(({ idleAt }) => Math.round((idleAt - Date.now()) / HOUR));
    assert.deepEqual(hours, [5, 5, 3, 4, 2]);
  });

  test('an expired session is a miss, and the agent is asked', async (t) => {
    const { agent, store } = await pair(t);
    agent.answer = holding({});
    await store.set('a', { cookie: { expires: new Date(Date.now() - 1) } });
    assert.equal(await store.get('a'), null);
    assert.equal(agent.all('load').length, 1);
    assert.equal(await store.length(), 0);
  });

  test('touch moves the deadline, also the one in the cookie, and waits for nobody', async (t) => {
    const { agent, store } = await pair(t);
    const expires = new Date(Date.now() + HOUR);
    await store.set('a', { cookie: { expires, originalMaxAge: HOUR }, item: 'tea' });
    const later = new Date(expires.getTime() + HOUR);
    await store.touch('a', { cookie: { expires: later } });
    assert.equal((await store.get('a'))?.cookie?.expires, later.toISOString());
    assert.equal((await agent.hears('touch')).idleAt, later.getTime());
  });

  test('a touch of an unknown session tells the agent nothing', async (t) => {
    const { agent, store } = await pair(t);
    await store.touch('nobody', cart('tea'));
    await store.set('a', cart('tea'));
    assert.deepEqual(agent.all('touch'), []);
  });

  test('a miss asks the agent, and keeps the answer', async (t) => {
    const { agent, store } = await pair(t);
    agent.answer = holding({ a: cart('tea') });
    assert.equal(itemOf(await store.get('a')), 'tea');
    assert.equal(itemOf(await store.get('a')), 'tea');
    assert.equal(agent.all('load').length, 1);
    assert.equal(await store.get('b'), null);
  });

  test('misses of the same session at the same time are one question', async (t) => {
    const { agent, store } = await pair(t);
    agent.answer = (message) => (message.t === 'load' ? undefined : agreeable(message));
    const asking = [store.get('a'), store.get('a'), store.get('a')];
    const { n } = await agent.hears('load');
    agent.say({ t: 'session', n, data: JSON.stringify(cart('tea')), idleAt: Date.now() + HOUR });
    assert.deepEqual((await Promise.all(asking)).map(itemOf), ['tea', 'tea', 'tea']);
    assert.equal(agent.all('load').length, 1);
  });

  test('a miss that the agent cannot look up is an error, never an absent session', async (t) => {
    const { agent, store } = await pair(t);
    agent.answer = (message) =>
      message.t === 'load'
        ? { t: 'error', n: message.n, code: 'STORE_UNREACHABLE', message: 'no store' }
        : agreeable(message);
    await assert.rejects(store.get('a'), { code: 'STORE_UNREACHABLE', status: 503 });
  });

  test('a session that this server may not keep is dropped, and set fails', async (t) => {
    for (const code of ['FENCED', 'ENDED']) {
      const { agent, store } = await pair(t);
      agent.answer = (message) =>
        message.t === 'set' ? { t: 'error', n: message.n, code, message: 'no' } : agreeable(message);
      await assert.rejects(store.set('a', cart('tea')), { code });
      assert.equal(await store.length(), 0);
    }
  });

  test('destroy calls back when the tombstone stands, and fails when it does not', async (t) => {
    const { agent, store } = await pair(t);
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
    const { agent, store } = await pair(t);
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
    const { store } = await pair(t, { away: true, timeout: 100 });
    void store.destroy('a');
    await assert.rejects(store.destroy('b'), isUnavailable);
  });

  test('all, length and clear are about the sessions in this process', async (t) => {
    const { agent, store } = await pair(t);
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
    const { store } = await pair(t);
    await new Promise<void>((resolve, reject) => {
      store.set('a', cart('tea'), (error) => (error ? reject(error) : resolve()));
    });
    const found = await new Promise((resolve, reject) => {
      store.get('a', (error, session) => (error ? reject(error) : resolve(session)));
    });
    assert.equal(itemOf(found), 'tea');
  });

  test('what cannot become JSON fails to be set', async (t) => {
    const { store } = await pair(t);
    const circular: Record<string, unknown> = {};
    circular.self = circular;
    await assert.rejects(store.set('a', circular), TypeError);
  });
});

describe('what the agent asks of a store', () => {
  test('capture gives a session’s newest bytes, or null', async (t) => {
    const { agent, store } = await pair(t);
    await store.set('a', cart('tea'));
    agent.say({ t: 'capture', n: 1, id: 'a' });
    agent.say({ t: 'capture', n: 2, id: 'b' });
    await agent.hears('session', 2);
    const [one, two] = agent.all('session');
    assert.equal(itemOf(JSON.parse(one?.data ?? 'null')), 'tea');
    assert.deepEqual([two?.n, two?.data], [2, null]);
  });

  test('install and forget put sessions in and take them out', async (t) => {
    const { agent, store } = await pair(t);
    const idleAt = Date.now() + HOUR;
    agent.say({ t: 'install', n: 1, id: 'a', data: JSON.stringify(cart('moved')), idleAt });
    await agent.hears('ok');
    assert.equal(itemOf(await store.get('a')), 'moved');
    agent.say({ t: 'forget', n: 2, id: 'a' });
    await agent.hears('ok', 2);
    assert.equal(await store.length(), 0);
  });

  test('a message from the future is ignored', async (t) => {
    const { agent, store } = await pair(t);
    agent.sayRaw('{"t":"pin","n":1,"id":"a"}\n');
    await store.set('a', cart('tea'));
    assert.equal(agent.connections, 1);
  });

  test('a malformed line ends the connection, and the store connects anew', async (t) => {
    const { agent, store } = await pair(t);
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

/** What express-session does when it makes a session: it gives the request an ID. */
function generatorOf(...ids: string[]) {
  return (request: { sessionID?: string }) => {
    request.sessionID = ids.shift() ?? 'one too many';
  };
}

describe('a store that gives a session another ID', () => {
  const silent = (message: AppToAgent) => (message.t === 'replace' ? undefined : agreeable(message));
  const regenerate = (store: StickshiftStore, request: Parameters<StickshiftStore['regenerate']>[0]) =>
    new Promise<void>((resolve, reject) => {
      store.regenerate(request, (error) => (error ? reject(error) : resolve()));
    });

  test('tells the agent which session goes on as which, and waits for nobody', async (t) => {
    const { agent, store } = await pair(t);
    agent.answer = silent;
    store.generate = generatorOf('new');
    await store.set('old', cart('tea'));
    const request = { sessionID: 'old' };
    await regenerate(store, request);
    assert.equal(request.sessionID, 'new');
    await store.set('new', cart('tea'));
    const { id, successor } = await agent.hears('replace');
    assert.deepEqual([id, successor], ['old', 'new']);
    assert.deepEqual(agent.all('destroy'), []);
    assert.deepEqual(Object.keys(await store.all()), ['new']);
  });

  test('takes no change of the old session any more, and says so to the agent', async (t) => {
    const { agent, store } = await pair(t);
    agent.answer = (message) => {
      if (message.t !== 'set' || message.id !== 'old') return silent(message);
      return { t: 'error', n: message.n, code: 'ENDED', message: 'replaced' };
    };
    store.generate = generatorOf('new');
    await regenerate(store, { sessionID: 'old' });
    await assert.rejects(store.set('old', cart('late')), { code: 'ENDED' });
    assert.equal(agent.all('set').length, 1);
    agent.say({ t: 'ok', n: (await agent.hears('replace')).n });
    await assert.rejects(store.set('old', cart('later')), { code: 'ENDED' });
    assert.equal(await store.length(), 0);
  });

  test('asks the agent for the old session: nobody else knows what becomes of it', async (t) => {
    const { agent, store } = await pair(t);
    agent.answer = (message) => {
      if (message.t !== 'load') return silent(message);
      return { t: 'error', n: message.n, code: 'SESSION_MOVING', message: 'later' };
    };
    store.generate = generatorOf('new');
    await store.set('old', cart('tea'));
    await regenerate(store, { sessionID: 'old' });
    await assert.rejects(store.get('old'), { code: 'SESSION_MOVING', status: 503 });
  });

  test('an app that makes the same ID again means a logout', async (t) => {
    const { agent, store } = await pair(t);
    store.generate = generatorOf('old');
    await store.set('old', cart('tea'));
    await regenerate(store, { sessionID: 'old' });
    assert.equal((await agent.hears('destroy')).id, 'old');
    assert.deepEqual(agent.all('replace'), []);
  });

  test('says it again to an agent that comes back, before it says what it holds', async (t) => {
    const { agent, store } = await pair(t);
    agent.answer = silent;
    store.generate = generatorOf('new');
    await regenerate(store, { sessionID: 'old' });
    await store.set('new', cart('tea'));
    agent.heard.length = 0;
    const up = once(store, 'agentUp');
    agent.hangUp();
    await up;
    await agent.hears('have');
    assert.deepEqual(
      agent.heard.map(({ t: kind }) => kind),
      ['hello', 'replace', 'have'],
    );
    agent.say({ t: 'ok', n: agent.all('replace')[0]?.n ?? 0 });
    agent.heard.length = 0;
    const again = once(store, 'agentUp');
    agent.hangUp();
    await again;
    await agent.hears('have');
    assert.deepEqual(agent.all('replace'), []);
  });

  test('while the agent is away, goes on at once and tells it later', async (t) => {
    const { agent, store } = await pair(t, { away: true });
    store.generate = generatorOf('new');
    await regenerate(store, { sessionID: 'old' });
    await store.set('new', cart('tea'));
    await agent.listen();
    await agent.hears('set');
    const order = agent.heard.map(({ t: kind }) => kind);
    assert.deepEqual(order, ['hello', 'replace', 'have', 'set']);
  });

  test('a closed store cannot: the old session stays', async (t) => {
    const { store } = await pair(t);
    store.generate = generatorOf('new');
    await store.set('old', cart('tea'));
    store.close();
    await assert.rejects(regenerate(store, { sessionID: 'old' }), isUnavailable);
    assert.equal(itemOf(await store.get('old')), 'tea');
  });
});

describe('a store whose agent is away', () => {
  test('a set waits for nobody once the agent has gone', async (t) => {
    const { agent, store } = await pair(t, { timeout: 60_000 });
    agent.answer = () => undefined;
    const setting = store.set('a', cart('tea'));
    await agent.hears('set');
    agent.hangUp();
    await setting;
    assert.equal(itemOf(await store.get('a')), 'tea');
  });

  test('a set calls back at once and without an error, and is sent when the agent comes', async (t) => {
    const { agent, store } = await pair(t, { away: true, timeout: 60_000 });
    await store.set('a', cart('tea'));
    await store.set('a', cart('cake'));
    assert.equal(itemOf(await store.get('a')), 'cake');
    await agent.listen();
    const { data } = await agent.hears('set');
    assert.deepEqual(agent.all('have')[0]?.ids, ['a']);
    assert.equal(itemOf(JSON.parse(data)), 'cake');
    assert.equal(agent.all('set').length, 1);
  });

  test('a miss is an error after the timeout, and says why', async (t) => {
    const { store } = await pair(t, { away: true, timeout: 100 });
    await assert.rejects(store.get('a'), { ...isUnavailable, message: /ENOENT/ });
  });

  test('a miss is answered when the agent comes back in time', async (t) => {
    const { agent, store } = await pair(t, { away: true });
    agent.answer = holding({ a: cart('tea') });
    const getting = store.get('a');
    await agent.listen();
    assert.equal(itemOf(await getting), 'tea');
  });

  test('a logout takes effect at once, fails after the timeout, and is sent when the agent comes', async (t) => {
    const { agent, store } = await pair(t, { away: true, timeout: 100 });
    await store.set('a', cart('tea'));
    await assert.rejects(store.destroy('a'), isUnavailable);
    assert.equal(await store.get('a'), null);
    await agent.listen();
    assert.equal((await agent.hears('destroy')).id, 'a');
    assert.deepEqual(agent.all('have')[0]?.ids, []);
  });

  test('what was not acknowledged is sent again, in order, after what the app holds', async (t) => {
    const { agent, store } = await pair(t);
    agent.answer = (message) => (message.t === 'hello' ? agreeable(message) : undefined);
    const writes = [store.set('a', cart('one')), store.set('b', cart('two')), store.destroy('c')];
    await agent.hears('destroy');
    agent.heard.length = 0;
    agent.answer = agreeable;
    agent.hangUp();
    await Promise.all(writes);
    const order = agent.heard.map((message) => `${message.t} ${'id' in message ? message.id : ''}`.trim());
    assert.deepEqual(order, ['hello', 'have', 'set a', 'set b', 'destroy c']);
  });

  test('a session that changes often while the agent is away is sent once, as it is', async (t) => {
    const { agent, store } = await pair(t, { away: true });
    for (const item of ['one', 'two', 'three']) await store.set('a', cart(item));
    await store.set('b', cart('last'));
    await agent.listen();
    await agent.hears('set', 2);
    assert.deepEqual(
      agent.all('set').map(({ data }) => itemOf(JSON.parse(data))),
      ['three', 'last'],
    );
  });

  test('deadlines moved meanwhile are told once, the newest', async (t) => {
    const { agent, store } = await pair(t, { away: true, timeout: 100 });
    await store.set('a', cart('tea'));
    const times = [2, 3, 4].map((hours) => new Date(Date.now() + hours * HOUR));
    for (const expires of times) await store.touch('a', { cookie: { expires } });
    await agent.listen();
    assert.equal((await agent.hears('touch')).idleAt, times[2]?.getTime());
    assert.equal(agent.all('touch').length, 1);
  });

  test('a session that was logged out meanwhile has no deadline to tell of', async (t) => {
    const { agent, store } = await pair(t, { away: true, timeout: 100 });
    for (const id of ['a', 'b']) {
      await store.set(id, cart('tea'));
      await store.touch(id, cart('tea'));
    }
    await assert.rejects(store.destroy('a'), isUnavailable);
    await agent.listen();
    assert.equal((await agent.hears('touch')).id, 'b');
  });

  test('an agent that hangs is connected to anew', async (t) => {
    const { agent, store } = await pair(t, { timeout: 100 });
    agent.answer = () => undefined;
    await store.set('a', cart('tea'));
    await eventually('a second connection', () => agent.connections > 1);
  });

  test('what the app holds is told in several lines when it is much', async (t) => {
    const { agent, store } = await pair(t, { away: true });
    await Promise.all(Array.from({ length: 2_500 }, (_, number) => store.set(`s${number}`, cart('tea'))));
    await agent.listen();
    await agent.hears('have', 3);
    assert.deepEqual(
      agent.all('have').map(({ ids, last }) => [ids.length, last]),
      [
        [1_000, false],
        [1_000, false],
        [500, true],
      ],
    );
  });

  test('an agent that refuses the app is reported with its reason', async (t) => {
    const { agent, store } = await pair(t, { away: true, token: 'wrong' });
    agent.answer = ({ t: kind }) =>
      kind === 'hello' ? { t: 'error', n: 0, code: 'UNAUTHORIZED', message: 'wrong token' } : undefined;
    await agent.listen();
    const reasons: string[] = [];
    store.on('agentDown', (reason: string) => reasons.push(reason));
    await eventually('the reason', () => reasons.some((reason) => reason.includes('wrong token')));
    assert.equal(agent.all('hello')[0]?.token, 'wrong');
  });
});

describe('a store in a process', () => {
  test('needs a token over TCP', () => {
    assert.throws(() => new StickshiftStore({ agent: '127.0.0.1:9100' }), /token/);
  });

  test('alone does not keep the process alive, whether the agent is there or not', async (t) => {
    const { agent } = await pair(t);
    const module = join(import.meta.dirname, 'stickshift-store.ts');
    for (const path of [agent.path, `${agent.path}.none`]) {
      const script = `
        import { StickshiftStore } from ${JSON.stringify(module)};
        const store = new StickshiftStore({ agent: ${JSON.stringify(path)} });
        store.on('agentUp', () => process.stdout.write('up')).on('agentDown', () => process.stdout.write('down'));
        setTimeout(() => {}, 300);
      `;
      const args = ['--input-type=module', '--eval', script];
      const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 });
      assert.equal(stdout, path === agent.path ? 'up' : 'down');
    }
  });

  test('never tells express-session that it is disconnected', async (t) => {
    const { agent, store } = await pair(t);
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
    const { store } = await pair(t);
    await store.set('a', cart('tea'));
    store.close();
    assert.equal(itemOf(await store.get('a')), 'tea');
    await assert.rejects(store.get('b'), isUnavailable);
    await assert.rejects(store.destroy('a'), isUnavailable);
  });
});
