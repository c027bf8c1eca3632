import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Slots } from './slots.ts';

test('no more operations run at once than there are slots, and each gets its turn', async () => {
  const slots = new Slots(2);
  let running = 0;
  let most = 0;
  const results = await Promise.allSettled(
    Array.from({ length: 10 }, (_, number) =>
      slots.run(async () => {
        most = Math.max(most, ++running);
        await new Promise(setImmediate);
        running--;
        if (number === 3) throw new Error('this one fails');
        return number;
      }),
    ),
  );
  assert.equal(most, 2);
  assert.deepEqual(
    results.map((result) => (result.status === 'fulfilled' ? result.value : 'failed')),
    [0, 1, 2, 'failed', 4, 5, 6, 7, 8, 9],
  );
});
