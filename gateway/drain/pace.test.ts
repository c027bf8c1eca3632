import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Pace } from './pace.ts';

const NEVER = Number.MAX_SAFE_INTEGER;

/** A pace on a clock that only the test moves. */
function setUp(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const pace = new Pace();
  return {
    pace,
    /** How long a pause takes, to 10 ms. */
    async lengthOf(pause: Promise<void>): Promise<number> {
      let over = false;
      void pause.then(() => {
        over = true;
      });
      await turn();
      let passed = 0;
      while (!over && passed < 10_000) {
        t.mock.timers.tick(10);
        passed += 10;
        await turn();
      }
      return passed;
    },
  };
}

describe('the pace of a drain', () => {
  test('slows down while nothing moves, to half a second', async (t) => {
    const { pace, lengthOf } = setUp(t);
    const lengths: number[] = [];
    for (let i = 0; i < 5; i++) {
      lengths.push(await lengthOf(pace.pause({ progress: 0, batch: 200, latest: NEVER })));
    }
    assert.deepEqual(lengths, [100, 200, 400, 500, 500]);
  });

  test('is quick again as soon as something moves', async (t) => {
    const { pace, lengthOf } = setUp(t);
    for (let i = 0; i < 5; i++) await lengthOf(pace.pause({ progress: 0, batch: 200, latest: NEVER }));
    assert.equal(await lengthOf(pace.pause({ progress: 7, batch: 200, latest: NEVER })), 50);
  });

  test('does not pause after a full batch', async (t) => {
    const { pace, lengthOf } = setUp(t);
    assert.equal(await lengthOf(pace.pause({ progress: 200, batch: 200, latest: NEVER })), 0);
  });

  test('never pauses past the deadline', async (t) => {
    const { pace, lengthOf } = setUp(t);
    for (let i = 0; i < 5; i++) await lengthOf(pace.pause({ progress: 0, batch: 200, latest: NEVER }));
    assert.equal(await lengthOf(pace.pause({ progress: 0, batch: 200, latest: performance.now() + 30 })), 30);
  });

  test('ends a pause that is interrupted', async (t) => {
    const { pace, lengthOf } = setUp(t);
    const pause = pace.pause({ progress: 0, batch: 200, latest: NEVER });
    pace.interrupt();
    assert.equal(await lengthOf(pause), 0);
  });
});
