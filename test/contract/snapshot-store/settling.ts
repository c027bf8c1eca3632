import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { eventually } from '../../services/eventually.ts';
import type { StoreUnderTest } from './sample-records.ts';

/** What is common to all stores; how each finds out that it lost data is tested with that store. */
export function settling(first: StoreUnderTest, second: StoreUnderTest): void {
  describe('settling', () => {
    test('is prolonged for everybody, and ends', async () => {
      let begun = 0;
      const stop = second().onSettling(() => begun++);
      await first().prolongSettling(6_000);
      const remaining = first().settlingMs;
      assert.ok(remaining > 0 && remaining <= 6_000);
      await eventually('the other process knows', () => second().settlingMs > 0);
      await first().prolongSettling(1);
      assert.ok(first().settlingMs > 1_000, 'never shortened');
      await eventually('it is over', () => first().settlingMs === 0 && second().settlingMs === 0);
      stop();
      if (first() !== second()) assert.equal(begun, 1);
    });
  });
}
