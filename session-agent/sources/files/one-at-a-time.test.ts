import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OneAtATime } from './one-at-a-time.ts';

test('tasks of one key run one after the other, those of another beside them', async () => {
  const inTurn = new OneAtATime();
  const log: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = inTurn.run('a', async () => {
    log.push('a1 begins');
    await gate.promise;
    log.push('a1 ends');
  });
  const second = inTurn.run('a', async () => void log.push('a2'));
  await inTurn.run('b', async () => void log.push('b'));
  gate.resolve();
  await Promise.all([first, second]);
  assert.deepEqual(log, ['a1 begins', 'b', 'a1 ends', 'a2']);
});

test('a task that fails rejects for its caller only', async () => {
  const inTurn = new OneAtATime();
  const failing = inTurn.run('a', async () => {
    throw new Error('no');
  });
  const next = inTurn.run('a', async () => 'yes');
  await assert.rejects(failing, /no/);
  assert.equal(await next, 'yes');
});
