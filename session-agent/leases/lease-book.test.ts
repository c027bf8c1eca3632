import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LeaseRequest } from '../../protocol/agent-api.ts';
import { LeaseBook, type LeaseBookOptions } from './lease-book.ts';

const TTL_MS = 3_000;
/** Longer than a lease holds after its last call. */
const GONE_MS = 2 * TTL_MS;

function book(options: Partial<LeaseBookOptions> = {}): LeaseBook {
  return new LeaseBook({ ttlMs: TTL_MS, limit: 3, bornAt: undefined, ...options });
}

/** One call of a gateway, answered at once. */
function call(book: LeaseBook, now: number, what: Partial<LeaseRequest> = {}) {
  const request = {
    ...{ backend: 'app-1', gateway: 'one', seen: -1, acknowledged: [], wait: false },
    ...what,
  };
  const lease = book.heard(request, now);
  return lease ? book.answer(lease, request.seen) : undefined;
}

/** Begins a lease; returns what the gateway has seen then. */
function begin(book: LeaseBook, now: number, gateway = 'one'): number {
  return call(book, now, { gateway })?.recall ?? assert.fail();
}

test('a recall that no gateway could contradict is over at once', () => {
  assert.equal(book().recall(['alice'], 'release', 0).isOver, true);
});

test('a recall is over when every gateway that holds a lease has agreed', () => {
  const leases = book();
  const seen = { one: begin(leases, 0, 'one'), two: begin(leases, 0, 'two') };
  const recall = leases.recall(['alice', 'bob'], 'release', 1);
  const answer = call(leases, 2, { gateway: 'one', seen: seen.one });
  assert.deepEqual(answer?.recalls, [
    { recall: recall.recall, sessionIds: ['alice', 'bob'], reason: 'release' },
  ]);
  call(leases, 3, { gateway: 'one', seen: recall.recall, acknowledged: [recall.recall] });
  assert.equal(recall.isOver, false);
  call(leases, 4, { gateway: 'two', seen: recall.recall, acknowledged: [recall.recall] });
  assert.equal(recall.isOver, true);
});

test('a recall is over when the lease of a silent gateway has run out', () => {
  const leases = book();
  begin(leases, 0);
  const recall = leases.recall(['alice'], 'lost', 100);
  leases.lapse(TTL_MS);
  assert.equal(recall.isOver, false, 'the clocks of two machines may differ a little');
  const next = leases.lapse(TTL_MS + 1) ?? assert.fail('somebody is still waited for');
  assert.equal(leases.lapse(next), undefined);
  assert.equal(recall.isOver, true);
  assert.equal(leases.lapsed, 1);
});

test('a gateway that calls but does not agree is waited for', () => {
  const leases = book();
  const seen = begin(leases, 0);
  const recall = leases.recall(['alice'], 'release', 0);
  for (let now = 0; now < 5 * TTL_MS; now += TTL_MS / 2) call(leases, now, { seen });
  leases.lapse(5 * TTL_MS);
  assert.equal(recall.isOver, false);
});

test('a gateway that begins after a recall need not agree to it', () => {
  const leases = book();
  begin(leases, 0, 'one');
  const recall = leases.recall(['alice'], 'release', 0);
  const late = begin(leases, 1, 'two');
  assert.ok(late > recall.recall);
  call(leases, 2, { gateway: 'one', seen: recall.recall, acknowledged: [recall.recall] });
  assert.equal(recall.isOver, true);
});

test('recalls are given again until the gateway says that it has them', () => {
  const leases = book();
  const seen = begin(leases, 0);
  const { recall } = leases.recall(['alice'], 'release', 0);
  for (const now of [1, 2]) {
    const answer = call(leases, now, { seen });
    assert.deepEqual(
      answer?.recalls.map((each) => each.recall),
      [recall],
    );
  }
  assert.deepEqual(call(leases, 3, { seen: recall })?.recalls, []);
});

test('agreeing twice, or to what never was, does no harm', () => {
  const leases = book();
  const seen = begin(leases, 0);
  const recall = leases.recall(['alice'], 'release', 0);
  for (const now of [1, 2]) call(leases, now, { seen, acknowledged: [recall.recall, 4711] });
  assert.equal(recall.isOver, true);
});

test('a gateway that leaves is waited for no longer', () => {
  const leases = book();
  const seen = begin(leases, 0);
  const recall = leases.recall(['alice'], 'release', 0);
  call(leases, 1, { seen, leave: true });
  assert.equal(recall.isOver, true);
  assert.equal(leases.held, 0);
});

test('a lease that has run out is not prolonged', () => {
  const leases = book();
  const seen = begin(leases, 0);
  assert.throws(() => call(leases, GONE_MS, { seen }), { code: 'LEASE_REFUSED' });
});

test('a new lease is begun under a number that no earlier binding was stamped with', () => {
  const leases = book();
  const seen = begin(leases, 0);
  call(leases, 1, { seen, renew: true });
  const renewed = leases.newest;
  assert.ok(renewed > seen);
  assert.ok(begin(leases, 2) > renewed);
});

test('a gateway that begins again while its lease stands is asked for what it owes', () => {
  const leases = book();
  begin(leases, 0);
  const recall = leases.recall(['alice'], 'release', 0);
  const seen = begin(leases, 1);
  assert.equal(recall.isOver, false, 'the call may be an old one that comes late');
  assert.deepEqual(
    call(leases, 2, { seen })?.recalls.map((each) => each.recall),
    [recall.recall],
  );
  call(leases, 3, { seen, acknowledged: [recall.recall] });
  assert.equal(recall.isOver, true);
});

test('a gateway that is told of more than fits into one answer gets the rest with the next', () => {
  const leases = book();
  let seen = begin(leases, 0);
  const recalls = Array.from(
    { length: 3 },
    (_, each) => leases.recall([`${each}`.repeat(40_000)], 'lost', 0).recall,
  );
  for (const recall of recalls) {
    const answer = call(leases, 1, { seen }) ?? assert.fail();
    assert.deepEqual(
      answer.recalls.map((each) => each.recall),
      [recall],
    );
    seen = answer.recall;
  }
  assert.equal(seen, leases.newest);
});

test('a gateway that falls too far behind loses its lease, which recalls wait out', () => {
  const leases = book({ logSize: 200 });
  const seen = begin(leases, 0);
  const recall = leases.recall(['alice'], 'release', 0);
  for (let each = 0; each < 10; each++) leases.tell(['bob'], 'lost');
  assert.throws(() => call(leases, 1, { seen }), { code: 'LEASE_REFUSED' });
  assert.equal(recall.isOver, false, 'the gateway may not know yet');
  begin(leases, 2);
  leases.lapse(GONE_MS);
  assert.equal(recall.isOver, true);
});

test('a gateway that does not agree to a lost session in time loses its lease', () => {
  const leases = book();
  let seen = begin(leases, 0);
  const recall = leases.recall(['alice'], 'lost', 0);
  for (const now of [1_000, 2_000, 3_000, 4_000]) seen = call(leases, now, { seen })?.recall ?? seen;
  assert.throws(() => call(leases, 6_000, { seen }), { code: 'LEASE_REFUSED' });
  assert.equal(recall.isOver, false);
  leases.lapse(4_000 + GONE_MS);
  assert.equal(recall.isOver, true);
});

test('what comes late from a lost lease does not prolong the next one', () => {
  const leases = book();
  let seen = begin(leases, 0);
  const recall = leases.recall(['alice'], 'lost', 0);
  for (const now of [2_000, 4_000]) seen = call(leases, now, { seen })?.recall ?? seen;
  assert.throws(() => call(leases, 6_000, { seen }), { code: 'LEASE_REFUSED' });
  // A copy of its first call, or the first of many to get through again.
  begin(leases, 6_001);
  assert.throws(() => call(leases, 6_002, { seen }), { code: 'LEASE_REFUSED' });
  assert.equal(recall.isOver, false);
});

test('gateways beyond the limit are refused until there is room', () => {
  const leases = book();
  for (const gateway of ['one', 'two', 'three']) begin(leases, 0, gateway);
  assert.throws(() => begin(leases, 1, 'four'), { code: 'LEASE_REFUSED', message: /3 gateways/ });
  begin(leases, GONE_MS, 'four');
  assert.equal(leases.held, 1);
});

test('an agent that has just started waits out the leases of its former life', () => {
  const leases = book({ bornAt: 1_000 });
  const recall = leases.recall(['alice'], 'lost', 1_500);
  begin(leases, 1_600, 'one');
  leases.lapse(1_000 + TTL_MS - 1);
  assert.equal(recall.isOver, false);
  leases.lapse(1_000 + GONE_MS);
  assert.equal(recall.isOver, true);
  assert.equal(leases.recall(['bob'], 'lost', 1_000 + GONE_MS).isOver, true);
});

test('a recall that was given up is never over', () => {
  const leases = book();
  begin(leases, 0);
  const recall = leases.recall(['alice'], 'release', 0);
  leases.giveUp(recall);
  call(leases, 1, { acknowledged: [recall.recall] });
  leases.lapse(GONE_MS);
  assert.equal(recall.isOver, false);
});

/** What a gateway says when it is asked about a removed session. */
type Word = 'fine' | 'broken';

/** The gateway hears what it has not seen, and answers what is asked of it. */
function answer(leases: LeaseBook, now: number, gateway: string, seen: number, word: Word): void {
  const told = call(leases, now, { gateway, seen }) ?? assert.fail();
  const acknowledged = told.recalls.flatMap(({ recall, reason }) => (reason === 'removed' ? [recall] : []));
  const broken = word === 'broken' ? acknowledged : [];
  call(leases, now, { gateway, seen: told.recall, acknowledged, broken });
}

/** An agent asks the gateways about a session that its app has removed. */
function ask(leases: LeaseBook, words: Readonly<Record<string, Word>>, now = 0) {
  const seen = new Map(Object.keys(words).map((gateway) => [gateway, begin(leases, now, gateway)]));
  const inquiry = leases.inquire('alice', now);
  for (const [gateway, word] of Object.entries(words)) {
    assert.equal(inquiry.isAnswered, false);
    answer(leases, now, gateway, seen.get(gateway) ?? -1, word);
  }
  return inquiry;
}

test('the request that removed a session was answered when every gateway says that none broke off', () => {
  assert.equal(ask(book(), { one: 'fine' }).isAnswered, true);
  assert.equal(ask(book(), { one: 'fine', two: 'fine' }).isAnswered, true);
  assert.equal(ask(book(), { one: 'broken', two: 'fine' }).isAnswered, false);
  assert.equal(ask(book(), { one: 'fine', two: 'broken' }).isAnswered, false);
});

test('whoever asks need not wait any longer when all is known, or one request broke off', async () => {
  await ask(book(), { one: 'fine', two: 'fine' }).settled;
  const leases = book();
  begin(leases, 0, 'three');
  await ask(leases, { one: 'broken' }).settled;
});

test('a gateway that falls silent or leaves before it has spoken may have had a request that broke off', () => {
  for (const goes of [
    (leases: LeaseBook) => leases.lapse(GONE_MS),
    (leases: LeaseBook) => call(leases, 4, { gateway: 'two', leave: true }),
  ]) {
    const leases = book();
    begin(leases, 0, 'two');
    const inquiry = ask(leases, { one: 'fine' });
    goes(leases);
    assert.equal(inquiry.isAnswered, false);
    assert.ok(inquiry.recalls.every(({ isOver }) => isOver));
  }
});

test('so may one that fell silent before, for a minute, unless it has come back', () => {
  const leases = book();
  begin(leases, 0, 'two');
  leases.lapse(GONE_MS);
  assert.equal(ask(leases, { one: 'fine' }, GONE_MS + 1).isAnswered, false);
  assert.equal(ask(leases, { one: 'fine', two: 'fine' }, GONE_MS + 2).isAnswered, true);
  leases.lapse(3 * GONE_MS);
  assert.equal(ask(leases, { three: 'fine' }, 3 * GONE_MS + 59_999).isAnswered, false);
  assert.equal(ask(leases, { three: 'fine' }, 3 * GONE_MS + 60_000).isAnswered, true);
});

test('so may one that has left, and one that was refused a lease', () => {
  const left = book();
  begin(left, 0, 'two');
  call(left, 1, { gateway: 'two', leave: true });
  assert.equal(ask(left, { one: 'fine' }, 2).isAnswered, false);
  const full = book({ limit: 1 });
  begin(full, 0, 'one');
  assert.throws(() => begin(full, 1, 'two'), { code: 'LEASE_REFUSED' });
  assert.equal(ask(full, { one: 'fine' }, 2).isAnswered, false);
});

test('gateways that come before it is over are asked, too', () => {
  const leases = book({ bornAt: 0 });
  const inquiry = leases.inquire('alice', 1);
  answer(leases, 3, 'one', begin(leases, 2, 'one'), 'fine');
  assert.equal(inquiry.isAnswered, false, 'another one may hold a lease of a former life, and come');
  answer(leases, TTL_MS / 2, 'two', begin(leases, TTL_MS / 2, 'two'), 'fine');
  leases.lapse(TTL_MS + 100);
  assert.equal(inquiry.isAnswered, true);
});

test('a gateway that comes is asked although the first time that this was told of is forgotten', () => {
  const leases = book({ logSize: 500 });
  const inquiry = leases.inquire('alice', 0);
  for (let each = 0; each < 20; each++) leases.tell(['bob'], 'lost');
  answer(leases, 2, 'one', begin(leases, 1, 'one'), 'fine');
  assert.equal(inquiry.isAnswered, true);
});

test('a gateway that begins anew owes what it owed, whatever the agent wants to know', () => {
  const leases = book({ logSize: 500 });
  const seen = begin(leases, 0);
  leases.inquire('alice', 1);
  for (let each = 0; each < 20; each++) leases.tell(['bob'], 'lost');
  const recall = leases.recall(['carol'], 'release', 2);
  begin(leases, 3);
  assert.throws(() => call(leases, 4, { seen }), { code: 'LEASE_REFUSED' });
  assert.equal(recall.isOver, false, 'it may trust in its first lease yet');
});

test('that nobody of a former life has come says nothing', () => {
  const leases = book({ bornAt: 0 });
  const inquiry = leases.inquire('alice', 1);
  leases.lapse(TTL_MS + 100);
  assert.equal(inquiry.isAnswered, false);
  answer(leases, TTL_MS + 102, 'one', begin(leases, TTL_MS + 101, 'one'), 'fine');
  assert.equal(inquiry.isAnswered, true);
});

test('an inquiry waits for a gateway when none holds a lease, until it is closed', async () => {
  const leases = book();
  const inquiry = leases.inquire('alice', 0);
  leases.close(inquiry);
  await inquiry.settled;
  assert.equal(inquiry.isAnswered, false);
  assert.equal(begin(leases, 1), leases.newest);
});

test('past a thousand inquiries nothing more is learned', () => {
  const leases = book();
  const inquiries = Array.from({ length: 1_001 }, (_, index) => leases.inquire(`${index}`, 0));
  begin(leases, 1);
  assert.deepEqual(
    inquiries.map(({ recalls }) => recalls.length),
    [...Array.from({ length: 1_000 }, () => 1), 0],
  );
});
