import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MoveWatch } from './move-watch.ts';

describe('a move watch', () => {
  const watch = () => new MoveWatch('app-1', ['ann', 'bob'], 100);

  test('counts from the first request that the old server did not answer, retries and all', () => {
    const moves = watch();
    moves.observe({ client: 'ann', startedAt: 90, endedAt: 110, server: undefined });
    moves.observe({ client: 'ann', startedAt: 200, endedAt: 210, server: undefined });
    moves.observe({ client: 'ann', startedAt: 300, endedAt: 330, server: 'app-2' });
    assert.deepEqual(moves.durations, [240]);
    assert.equal(moves.remaining, 1);
  });

  test('starts over when the old server still answers', () => {
    const moves = watch();
    moves.observe({ client: 'bob', startedAt: 90, endedAt: 120, server: undefined });
    moves.observe({ client: 'bob', startedAt: 130, endedAt: 140, server: 'app-1' });
    moves.observe({ client: 'bob', startedAt: 150, endedAt: 153, server: 'app-3' });
    assert.deepEqual(moves.durations, [3]);
  });

  test('counts a client once, and none that it does not watch', () => {
    const moves = watch();
    moves.observe({ client: 'ann', startedAt: 150, endedAt: 151, server: 'app-2' });
    moves.observe({ client: 'ann', startedAt: 160, endedAt: 190, server: 'app-2' });
    moves.observe({ client: 'eve', startedAt: 150, endedAt: 199, server: 'app-2' });
    moves.observe({ client: 'bob', startedAt: 80, endedAt: 99, server: 'app-2' });
    assert.deepEqual(moves.durations, [1]);
    assert.equal(moves.remaining, 1);
  });
});
