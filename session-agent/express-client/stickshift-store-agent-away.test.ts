import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { eventually } from '../../test/services/eventually.ts';
import { agreeable } from '../../test/services/scripted-agent.ts';
import {
  cart,
  HOUR,
  holding,
  isUnavailable,
  itemOf,
  storeAndAgent,
} from '../../test/services/stickshift-store-under-test.ts';

describe('a store whose agent is away', () => {
  test('a set waits for nobody once the agent has gone', async (t) => {
    const { agent, store } = await storeAndAgent(t, { timeout: 60_000 });
    agent.answer = () => undefined;
    const setting = store.set('a', cart('tea'));
    await agent.hears('set');
    agent.hangUp();
    await setting;
    assert.equal(itemOf(await store.get('a')), 'tea');
  });

  test('a set calls back at once and without an error, and is sent when the agent comes', async (t) => {
    const { agent, store } = await storeAndAgent(t, { away: true, timeout: 60_000 });
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
    const { store } = await storeAndAgent(t, { away: true, timeout: 100 });
    await assert.rejects(store.get('a'), { ...isUnavailable, message: /ENOENT/ });
  });

  test('a miss is answered when the agent comes back in time', async (t) => {
    const { agent, store } = await storeAndAgent(t, { away: true });
    agent.answer = holding({ a: cart('tea') });
    const getting = store.get('a');
    await agent.listen();
    assert.equal(itemOf(await getting), 'tea');
  });

  test('a logout takes effect at once, fails after the timeout, and is sent when the agent comes', async (t) => {
    const { agent, store } = await storeAndAgent(t, { away: true, timeout: 100 });
    await store.set('a', cart('tea'));
    await assert.rejects(store.destroy('a'), isUnavailable);
    assert.equal(await store.get('a'), null);
    await agent.listen();
    assert.equal((await agent.hears('destroy')).id, 'a');
    assert.deepEqual(agent.all('have')[0]?.ids, []);
  });

  test('what was not acknowledged is sent again, in order, after what the app holds', async (t) => {
    const { agent, store } = await storeAndAgent(t);
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
    const { agent, store } = await storeAndAgent(t, { away: true });
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
    const { agent, store } = await storeAndAgent(t, { away: true, timeout: 100 });
    await store.set('a', cart('tea'));
    const times = [2, 3, 4].map((hours) => new Date(Date.now() + hours * HOUR));
    for (const expires of times) await store.touch('a', { cookie: { expires } });
    await agent.listen();
    assert.equal((await agent.hears('touch')).idleAt, times[2]?.getTime());
    assert.equal(agent.all('touch').length, 1);
  });

  test('a session that was logged out meanwhile has no deadline to tell of', async (t) => {
    const { agent, store } = await storeAndAgent(t, { away: true, timeout: 100 });
    for (const id of ['a', 'b']) {
      await store.set(id, cart('tea'));
      await store.touch(id, cart('tea'));
    }
    await assert.rejects(store.destroy('a'), isUnavailable);
    await agent.listen();
    assert.equal((await agent.hears('touch')).id, 'b');
  });

  test('an agent that hangs is connected to anew', async (t) => {
    const { agent, store } = await storeAndAgent(t, { timeout: 100 });
    agent.answer = () => undefined;
    await store.set('a', cart('tea'));
    await eventually('a second connection', () => agent.connections > 1);
  });

  test('what the app holds is told in several lines when it is much', async (t) => {
    const { agent, store } = await storeAndAgent(t, { away: true });
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
    const { agent, store } = await storeAndAgent(t, { away: true, token: 'wrong' });
    agent.answer = ({ t: kind }) =>
      kind === 'hello' ? { t: 'error', n: 0, code: 'UNAUTHORIZED', message: 'wrong token' } : undefined;
    await agent.listen();
    const reasons: string[] = [];
    store.on('agentDown', (reason: string) => reasons.push(reason));
    await eventually('the reason', () => reasons.some((reason) => reason.includes('wrong token')));
    assert.equal(agent.all('hello')[0]?.token, 'wrong');
  });
});
