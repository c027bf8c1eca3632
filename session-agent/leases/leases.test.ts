import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LeaseRequest } from '../../protocol/agent-api.ts';
import { PATIENCE_MS } from '../testing/agent-under-test.ts';
import { Leases } from './leases.ts';

function request(what: Partial<LeaseRequest> = {}): LeaseRequest {
  return { backend: 'app-1', gateway: 'one', seen: -1, acknowledged: [], wait: true, ...what };
}

async function begun(gateway = 'one') {
  const leases = new Leases({ formerLife: false });
  const { recall: seen } = await leases.call(request({ gateway }));
  return { leases, seen };
}

test('a waiting call is answered as soon as there is a recall', async () => {
  const { leases, seen } = await begun();
  const waiting = leases.call(request({ seen }));
  const recall = leases.recall(['alice'], 'release');
  const answer = await waiting;
  assert.deepEqual(answer.recalls, [{ recall: answer.recall, sessionIds: ['alice'], reason: 'release' }]);
  assert.equal(recall.isOver, false);
  await leases.call(request({ seen: answer.recall, acknowledged: [answer.recall], wait: false }));
  assert.equal(await leases.agreed(recall, PATIENCE_MS), true);
  assert.equal(leases.counts.recalls, 1);
  leases.stop();
});

test('recalls of one turn are told in one answer', async () => {
  const { leases, seen } = await begun();
  const waiting = leases.call(request({ seen }));
  for (const id of ['alice', 'bob', 'carol']) leases.tell([id]);
  assert.deepEqual(
    (await waiting).recalls.flatMap(({ sessionIds }) => sessionIds),
    ['alice', 'bob', 'carol'],
  );
});

test('a waiting call is answered without news in the end, so that the gateway knows that its lease holds', async () => {
  const { leases, seen } = await begun();
  assert.deepEqual(await leases.call(request({ seen })), { recall: seen, ttlMs: 3_000, recalls: [] });
});

test('a second waiting call of a gateway sends the first home', async () => {
  const { leases, seen } = await begun();
  const first = leases.call(request({ seen }));
  const second = leases.call(request({ seen }));
  assert.deepEqual((await first).recalls, []);
  leases.tell(['alice']);
  assert.equal((await second).recalls.length, 1);
});

test('an app that came or went makes all gateways doubt what they knew', async () => {
  const { leases, seen } = await begun();
  leases.doubtAll();
  const { recall, recalls } = await leases.call(request({ seen }));
  assert.ok(recall > seen);
  assert.deepEqual(recalls, [{ recall, sessionIds: [], reason: 'lost' }]);
});

test('a renewal is answered at once, under a number of its own', async () => {
  const { leases, seen } = await begun();
  const { renewed = 0 } = await leases.call(request({ seen, renew: true }));
  assert.ok(renewed > seen);
});

test('a call of a gateway that left meanwhile is refused', async () => {
  const { leases, seen } = await begun();
  const waiting = leases.call(request({ seen }));
  await leases.call(request({ seen, leave: true }));
  await assert.rejects(waiting, { code: 'LEASE_REFUSED' });
});

test('whoever waits for a recall waits only so long', async () => {
  const { leases } = await begun();
  const recall = leases.recall(['alice'], 'release');
  assert.equal(await leases.agreed(recall, 1), false);
  leases.stop();
});

test('a lease of a silent gateway runs out by itself', async () => {
  const leases = new Leases({ formerLife: false, ttlMs: 20 });
  await leases.call(request());
  const recall = leases.recall(['alice'], 'lost');
  assert.equal(recall.isOver, false);
  assert.equal(await leases.agreed(recall, PATIENCE_MS), true);
  assert.equal(leases.lapsed, 1);
});

test('leases that nobody knows of, of a former life, run out by themselves', async () => {
  const leases = new Leases({ ttlMs: 20 });
  assert.equal(await leases.agreed(leases.recall(['alice'], 'lost'), PATIENCE_MS), true);
});

test('an agent that stops keeps nobody waiting', async () => {
  const { leases, seen } = await begun();
  const recall = leases.recall(['alice'], 'lost');
  const answer = leases.call(request({ seen: seen + 1 }));
  leases.stop();
  await Promise.all([recall.settled, answer]);
  assert.equal(recall.isOver, false);
});
