import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { APP_ANSWERS, type AppAnswer } from '../corpus/answers.ts';
import { head } from '../corpus/hostile-request.ts';
import { ORDINARY_REQUESTS, type OrdinaryRequest } from '../corpus/ordinary.ts';
import { HOSTILE_REQUESTS } from '../corpus/requests.ts';
import { isBroken, type LaneExchange, type Observed, TwoLanes } from '../services/two-lanes.ts';

const PLAIN = head('GET /here HTTP/1.1', 'Host: app.test');

let lanes: TwoLanes;
before(async () => {
  // Short, because some of the corpus is a head that never ends.
  lanes = await TwoLanes.start({ timeouts: { head: '1s' } });
});
after(() => lanes.stop());

describe('both lanes are one gateway, which is not deceived by', () => {
  for (const { name, raw, forwarded } of HOSTILE_REQUESTS) {
    test(name, { timeout: 15_000 }, async () => {
      const methods = forwarded?.map(({ method = 'GET' }) => method) ?? ['GET'];
      await assertSame({ raw, methods });
    });
  }
});

describe('both lanes are one gateway for', () => {
  for (const request of ORDINARY_REQUESTS) {
    test(request.name, { timeout: 15_000 }, () => assertOrdinary(lanes, request));
  }
});

describe('both lanes are one gateway before the app’s', () => {
  for (const answer of APP_ANSWERS) {
    test(answer.name, { timeout: 15_000 }, () => assertPassedOn(answer));
  }
});

describe('both lanes are one gateway behind a trusted proxy, for', () => {
  let trusting: TwoLanes;
  before(async () => {
    trusting = await TwoLanes.start({ trustedProxies: ['127.0.0.1'] });
  });
  after(() => trusting.stop());

  for (const request of ORDINARY_REQUESTS.filter(({ raw }) => /forwarded/i.test(raw))) {
    test(request.name, { timeout: 15_000 }, () => assertOrdinary(trusting, request));
  }
});

async function assertOrdinary(through: TwoLanes, request: OrdinaryRequest): Promise<void> {
  const full = await assertSame(request, through);
  const { methods = ['GET'], statuses = methods.map(() => 200) } = request;
  assert.deepEqual(full.statuses, statuses);
}

async function assertPassedOn(answer: AppAnswer): Promise<void> {
  const { request: raw = PLAIN, method = 'GET', rest, statuses = [statusOf(answer.raw)], refusable } = answer;
  const exchange = { raw, methods: [method], answer, ...(rest !== undefined && { rest }) };
  const { fast, full } = await lanes.exchange(exchange);
  assert.deepEqual(full.statuses, statuses);
  if (refusable !== undefined && isBroken(fast)) return;
  assert.deepEqual(fast, full);
}

/** Resolves with what was seen, of either lane. */
async function assertSame(exchange: LaneExchange, through = lanes): Promise<Observed> {
  const { fast, full } = await through.exchange(exchange);
  assert.deepEqual(fast, full);
  assert.equal(full.violation, undefined, 'the client was sent something malformed');
  return full;
}

function statusOf(answer: string): number {
  return Number(/ (\d{3})/.exec(answer)?.[1]);
}
