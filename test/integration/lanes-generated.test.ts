import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { GENERATED_ANSWERS, GENERATED_REQUESTS } from '../corpus/generated.ts';
import { head } from '../corpus/hostile-request.ts';
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
