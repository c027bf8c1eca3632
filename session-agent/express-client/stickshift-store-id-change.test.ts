import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { agreeable } from '../../test/services/scripted-agent.ts';
import {
  cart,
  isUnavailable,
  itemOf,
  storeAndAgent,
} from '../../test/services/stickshift-store-under-test.ts';
import type { AppToAgent } from './app-link.ts';
import type { StickshiftStore } from './stickshift-store.ts';

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
    const { agent, store } = await storeAndAgent(t);
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
    const { agent, store } = await storeAndAgent(t);
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
    const { agent, store } = await storeAndAgent(t);
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
    const { agent, store } = await storeAndAgent(t);
    store.generate = generatorOf('old');
    await store.set('old', cart('tea'));
    await regenerate(store, { sessionID: 'old' });
    assert.equal((await agent.hears('destroy')).id, 'old');
    assert.deepEqual(agent.all('replace'), []);
  });

  test('says it again to an agent that comes back, before it says what it holds', async (t) => {
    const { agent, store } = await storeAndAgent(t);
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
    const { agent, store } = await storeAndAgent(t, { away: true });
    store.generate = generatorOf('new');
    await regenerate(store, { sessionID: 'old' });
    await store.set('new', cart('tea'));
    await agent.listen();
    await agent.hears('set');
    const order = agent.heard.map(({ t: kind }) => kind);
    assert.deepEqual(order, ['hello', 'replace', 'have', 'set']);
  });

  test('a closed store cannot: the old session stays', async (t) => {
    const { store } = await storeAndAgent(t);
    store.generate = generatorOf('new');
    await store.set('old', cart('tea'));
    store.close();
    await assert.rejects(regenerate(store, { sessionID: 'old' }), isUnavailable);
    assert.equal(itemOf(await store.get('old')), 'tea');
  });
});
