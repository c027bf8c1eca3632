import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { APP_ANSWERS } from '../corpus/answers.ts';
import type { AppAnswer } from '../corpus/app-answer.ts';
import { head } from '../corpus/hostile-request.ts';
import { ORDINARY_REQUESTS } from '../corpus/ordinary.ts';
import type { OrdinaryRequest } from '../corpus/ordinary-request.ts';
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

describe('both lanes are one gateway at the limit of', () => {
  /** Around the sizes at which Node's parser begins to refuse. */
  const around = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);
  const filled = (length: number, before: string, after: string) =>
    before + 'a'.repeat(length - before.length - after.length) + after;
  const HOST = 'Host: app.test';

  for (const [name, sizes, raw] of [
    [
      'a head with one long header',
      around(16_380, 16_420),
      (size: number) => filled(size, `GET / HTTP/1.1\r\n${HOST}\r\nX-Long: `, '\r\n\r\n'),
    ],
    [
      'a head with a long target',
      around(16_380, 16_420),
      (size: number) => filled(size, 'GET /', ` HTTP/1.1\r\n${HOST}\r\n\r\n`),
    ],
    [
      'a head with a long header name',
      around(16_380, 16_420),
      (size: number) => filled(size, `GET / HTTP/1.1\r\n${HOST}\r\nX-`, ': a\r\n\r\n'),
    ],
    [
      'a head with headers of a hundred octets',
      around(160, 190),
      (count: number) => head('GET / HTTP/1.1', HOST, ...Array(count).fill(`X-Header: ${'a'.repeat(88)}`)),
    ],
    [
      'the number of headers',
      around(990, 1_010),
      (count: number) => head('GET / HTTP/1.1', HOST, ...Array(count).fill('A: b')),
    ],
  ] as const) {
    test(name, async () => {
      const statuses = new Set<number>();
      for (const size of sizes) {
        for (const status of (await assertSame({ raw: raw(size) })).statuses) statuses.add(status);
      }
      assert.deepEqual([...statuses], [200, 431], 'the sizes are not around the limit any more');
    });
  }

  test('the head of an answer', async () => {
    const statuses = new Set<number>();
    for (const size of around(16_380, 16_420)) {
      const answer = { raw: filled(size, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Long: ', '\r\n\r\n') };
      for (const status of (await assertSame({ raw: PLAIN, answer })).statuses) statuses.add(status);
    }
    assert.deepEqual([...statuses], [200, 502], 'the sizes are not around the limit any more');
  });
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
