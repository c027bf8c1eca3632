import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { GENERATED_ANSWERS, GENERATED_REQUESTS } from '../corpus/generated.ts';
import { head } from '../corpus/hostile-request.ts';
import { AFFINITY, SESSION_AFFINITY } from '../corpus/placeholders.ts';
import { isBroken, isCutOff, TwoLanes } from '../services/two-lanes.ts';

const RUNS = 600;
const REQUESTS = [
  head('GET /here HTTP/1.1', 'Host: app.test'),
  head('GET /here HTTP/1.1', 'Host: app.test', 'Cookie: sid=known', 'Connection: close'),
  head('HEAD /here HTTP/1.1', 'Host: app.test'),
  head('GET /here HTTP/1.0', 'Host: app.test'),
  `${head('POST /here HTTP/1.1', 'Host: app.test', 'Cookie: sid=known', 'Content-Length: 6')}item=1`,
];

let lanes: TwoLanes;
before(async () => {
  lanes = await TwoLanes.start();
});
after(() => lanes.stop());

describe('both lanes are one gateway for', () => {
  test('whatever clients send', async () => {
    await fc.assert(
      fc.asyncProperty(GENERATED_REQUESTS, async (exchange) => {
        const { fast, full } = await lanes.exchange(exchange);
        assert.deepEqual(fast, full);
      }),
      { numRuns: RUNS },
    );
  });

  test('clients that say the same again and again, and then something else', async () => {
    const fields = fc.constantFrom(
      ['Cookie: sid=known'],
      ['Cookie: sid=known; a=1', 'X-Forwarded-For: 192.0.2.7'],
      ['Cookie: sid=known; a=2', 'X-Forwarded-For: 192.0.2.7'],
      [`Cookie: stickshift=${AFFINITY}`],
      [`Cookie: sid=known; stickshift=${SESSION_AFFINITY}`, 'Accept:  text/html '],
      ['X-Mine: 1', 'Connection: keep-alive'],
    );
    const request = fc.tuple(
      fc.constantFrom('GET', 'HEAD', 'DELETE', 'PUT'),
      fc.constantFrom('/', '/a?b'),
      fields,
    );
    const turns = fc.array(fc.tuple(request, fc.integer({ min: 1, max: 4 })), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(turns, async (turns) => {
        const requests = turns.flatMap(([one, times]) => Array.from({ length: times }, () => one));
        const raw = requests
          .map(([method, target, lines]) => head(`${method} ${target} HTTP/1.1`, 'Host: app.test', ...lines))
          .join('');
        const { fast, full } = await lanes.exchange({ raw, methods: requests.map(([method]) => method) });
        assert.deepEqual(fast, full);
        assert.equal(fast.requests.length, requests.length + 1, 'all of them, and the one behind them');
      }),
      { numRuns: 100 },
    );
  });

  test('whatever app servers say', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...REQUESTS), GENERATED_ANSWERS, async (raw, answer) => {
        const methods = [/^[A-Z]+/.exec(raw)?.[0] ?? ''];
        const { fast, full } = await lanes.exchange({ raw, methods, answer: { ...answer, ending: 'end' } });
        if (isBroken(fast) && isBroken(full) && (isCutOff(fast) || isCutOff(full))) return;
        assert.deepEqual(fast, full);
      }),
      { numRuns: RUNS },
    );
  });
});
