import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MOST_WORKERS } from '../../config/sections/gateway.ts';
import { workerCount } from './worker-count.ts';

test('there are as many workers as the configuration says, or as there are cores', () => {
  assert.equal(workerCount(3, 8), 3);
  assert.equal(workerCount('auto', 8), 8);
  assert.equal(workerCount('auto', 1), 1);
  assert.equal(workerCount('auto', 1_000), MOST_WORKERS);
});
