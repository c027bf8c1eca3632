import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppProbe } from './app-probe.ts';

/** A probe whose questions a test answers, in order. */
function scene() {
  const asked: PromiseWithResolvers<boolean>[] = [];
  const probe = new AppProbe(() => {
    const question = Promise.withResolvers<boolean>();
    asked.push(question);
    return question.promise;
  });
  return { probe, asked };
}

test('who asks while a probe is under way gets the answer of the next one, and shares it', async () => {
  const { probe, asked } = scene();
  const first = probe.isAlive();
  const later = [probe.isAlive(), probe.isAlive()];
  assert.equal(asked.length, 1);
  asked[0]?.resolve(true);
  assert.equal(await first, true);
  await new Promise(setImmediate);
  assert.equal(asked.length, 2);
  asked[1]?.resolve(false);
  assert.deepEqual(await Promise.all(later), [false, false]);
});

test('a probe that fails fails for who asked, and the next one asks again', async () => {
  const { probe, asked } = scene();
  const first = probe.isAlive();
  const second = probe.isAlive();
  asked[0]?.reject(new Error('no sockets left'));
  await assert.rejects(first, /no sockets/);
  await new Promise(setImmediate);
  asked[1]?.resolve(true);
  assert.equal(await second, true);
  const third = probe.isAlive();
  assert.equal(asked.length, 3, 'nothing is kept');
  asked[2]?.resolve(true);
  assert.equal(await third, true);
});
