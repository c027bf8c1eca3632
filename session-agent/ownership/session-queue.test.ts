import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SessionQueue } from './session-queue.ts';

test('operations on one session run one after the other, in order', async () => {
  const queue = new SessionQueue();
  const steps: string[] = [];
  const operation = (name: string) => async () => {
    steps.push(`${name} begins`);
    await new Promise(setImmediate);
    steps.push(`${name} ends`);
  };
  await Promise.all([queue.run('alice', operation('first')), queue.run('alice', operation('second'))]);
  assert.deepEqual(steps, ['first begins', 'first ends', 'second begins', 'second ends']);
});

test('operations on different sessions do not wait for each other', async () => {
  const queue = new SessionQueue();
  void queue.run('alice', () => new Promise(() => undefined));
  assert.equal(await queue.run('bob', async () => 'done'), 'done');
});

test('a failure reaches its caller and nobody else', async () => {
  const queue = new SessionQueue();
  const failing = queue.run('alice', async () => {
    throw new Error('oops');
  });
  const next = queue.run('alice', async () => 'done');
  await assert.rejects(failing, /oops/);
  assert.equal(await next, 'done');
});

test('a session that is idle takes no memory', async () => {
  const queue = new SessionQueue();
  const running = queue.run('alice', async () => undefined);
  assert.ok(queue.idle('alice'));
  await running;
  await queue.idle('alice');
  assert.equal(queue.idle('alice'), undefined);
});
