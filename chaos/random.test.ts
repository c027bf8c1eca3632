import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { seededRandom } from './random.ts';

test('the same seed gives the same numbers, another seed others', () => {
  const draw = (seed: number) => Array.from({ length: 5 }, seededRandom(seed).next);
  assert.deepEqual(draw(7), draw(7));
  assert.notDeepEqual(draw(7), draw(8));
});

test('what is drawn from a fork does not shift what is drawn from the stream', () => {
  const [plain, forked] = [seededRandom(7), seededRandom(7)];
  forked.fork('x').next();
  assert.equal(plain.next(), forked.next());
  assert.notEqual(seededRandom(7).fork('x').next(), seededRandom(7).fork('y').next());
});

test('numbers stay within their bounds', () => {
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const random = seededRandom(seed);
      const whole = random.whole(2, 4);
      assert.ok(Number.isInteger(whole) && whole >= 2 && whole <= 4);
      const time = random.logUniform(10, 1_000);
      assert.ok(time >= 10 && time < 1_000);
      assert.notEqual(random.weighted([['never', 0] as const, ['always', 1] as const]), 'never');
    }),
  );
});
