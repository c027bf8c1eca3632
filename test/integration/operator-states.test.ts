import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AdminState, StateAnswer } from '../../gateway/admin-api/admin-api-types.ts';
import { eventually } from '../services/eventually.ts';
import { SmallInstallation } from '../services/small-installation.ts';
import type { Visitor } from '../services/visitor.ts';

async function setState(installation: SmallInstallation, backend: string, state: AdminState) {
  const answer = await fetch(`${installation.gateway.adminUrl}/v1/backends/${backend}/state`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ state }),
  });
  return { status: answer.status, answer: (await answer.json()) as StateAnswer };
}

async function drained(installation: SmallInstallation, backend: string) {
  return eventually(`${backend} is drained`, async () => {
    const { drain } = await installation.backend(backend);
    return drain && drain.state !== 'draining' && drain.state !== 'closing' && drain;
  });
}

/** Visitors with a cart each, some on either server. */
async function visitors(
  installation: SmallInstallation,
  count = 8,
): Promise<{ visitor: Visitor; server: string }[]> {
  const found: { visitor: Visitor; server: string }[] = [];
  for (let i = 0; i < count; i++) {
    const visitor = installation.visitor();
    const { server = '' } = await visitor.post(`/cart/item-${i}`);
    found.push({ visitor, server });
  }
  return found;
}

async function assertAllServed(
  all: Awaited<ReturnType<typeof visitors>>,
  expected: (server: string) => string,
) {
  for (const [i, { visitor, server }] of all.entries()) {
    const visit = await visitor.get('/cart');
    assert.deepEqual([visit.status, visit.server, visit.body], [200, expected(server), [`item-${i}`]]);
  }
}

const roundRobin = { pool: { balance: 'round-robin' } } as const;

describe('an operator', () => {
  for (const state of ['drain', 'maintenance'] as const) {
    test(`who sets ${state} moves every session away with its cart, and gets no newcomer there until ready`, async () => {
      await using installation = await SmallInstallation.start(roundRobin);
      const all = await visitors(installation);
      const onFirst = all.filter(({ server }) => server === 'app-1').length;
      assert.ok(onFirst > 0 && onFirst < all.length);

      const { status, answer } = await setState(installation, 'app-1', state);
      assert.equal(status, 202);
      assert.equal(answer.adminState, state);
      const drain = await drained(installation, 'app-1');
      assert.deepEqual(
        [drain.state, drain.reason, drain.released, drain.remaining, drain.inFlight],
        ['complete', state, onFirst, 0, 0],
      );

      await assertAllServed(all, () => 'app-2');
      for (const { server } of await visitors(installation, 4)) assert.equal(server, 'app-2');
      assert.equal(installation.gatewayLog.matching(/session moved/).length, onFirst);

      assert.equal((await setState(installation, 'app-1', 'ready')).status, 200);
      const back = await visitors(installation, 4);
      assert.ok(back.some(({ server }) => server === 'app-1'));
      await assertAllServed(all, () => 'app-2');
    });
  }

  test('who drains both servers in turn, as in a rolling deploy, loses nothing', async () => {
    await using installation = await SmallInstallation.start(roundRobin);
    const all = await visitors(installation);
    for (const id of ['app-1', 'app-2']) {
      await setState(installation, id, 'drain');
      assert.equal((await drained(installation, id)).state, 'complete');
      const server = installation.server(id);
      await server.stop();
      await installation.sees(id, false);
      await assertAllServed(all, () => installation.other(id).id);
      await server.start();
      await installation.sees(id, true);
      await setState(installation, id, 'ready');
    }
    await assertAllServed(all, () => 'app-1');
  });

  test('who makes a server ready in the middle of a drain keeps what is there, and nothing is lost', async () => {
    await using installation = await SmallInstallation.start(roundRobin);
    const all = await visitors(installation, 20);
    await setState(installation, 'app-1', 'drain');
    await setState(installation, 'app-1', 'ready');
    for (const [i, { visitor }] of all.entries()) {
      const visit = await visitor.get('/cart');
      assert.deepEqual([visit.status, visit.body], [200, [`item-${i}`]]);
    }
    assert.equal((await installation.backend('app-1')).drain, undefined);
  });

  test('who asks for a session is told where it is, before and after a move', async () => {
    await using installation = await SmallInstallation.start();
    const visitor = installation.visitor();
    const { server = '' } = await visitor.post('/cart/tea');
    const lookUp = async (session: string) => {
      const answer = await fetch(`${installation.gateway.adminUrl}/v1/sessions/lookup`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ session }),
      });
      return (await answer.json()) as Record<string, unknown>;
    };
    const before = await lookUp(visitor.sessionId);
    assert.deepEqual([before.owner, before.state, before.epoch], [server, 'active', 1]);
    assert.deepEqual(before.key, installation.keyOf(visitor.sessionId));
    assert.ok(Number(before.size) > 0 && Number(before.ageMs) >= 0 && Number(before.seq) >= 1);

    await setState(installation, server, 'drain');
    await visitor.get('/cart');
    const after = await lookUp(decodeURIComponent(visitor.cookies.get('connect.sid') ?? ''));
    assert.deepEqual([after.owner, after.state, after.epoch], [installation.other(server).id, 'active', 2]);
  });
});
