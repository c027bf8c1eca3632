import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import pino from 'pino';
import { type ErrorCode, StickshiftError } from '../../protocol/errors.ts';
import { jitteredBackoff, StoreHealth } from './store-health.ts';

const times = { base: 60_000, cap: 600_000, hurried: 20_000 };

function create() {
  const lines: string[] = [];
  const health = new StoreHealth(pino({}, { write: (line) => void lines.push(line) }), times);
  return { health, lines };
}

function fail(health: StoreHealth, code: ErrorCode): Promise<void> {
  return assert.rejects(health.watch(Promise.reject(new StickshiftError(code, 'as the test wants it'))));
}

test('one outage closes the store for everybody, one success opens it', async () => {
  const { health } = create();
  let recovered = 0;
  health.onRecovered = () => recovered++;
  await fail(health, 'STORE_UNREACHABLE');
  assert.equal(health.isOk, false);
  assert.equal(health.failure, 'STORE_UNREACHABLE');
  assert.ok(health.waitMs(false) > 0);
  await health.watch(Promise.resolve());
  assert.equal(health.isOk, true);
  assert.equal(health.failure, undefined);
  assert.equal(recovered, 1);
});

test('commits that fail together are one failure, logged once', async () => {
  const { health, lines } = create();
  await Promise.all(Array.from({ length: 30 }, () => fail(health, 'STORE_TIMEOUT')));
  assert.equal(lines.length, 1);
  assert.ok(health.waitMs(false) <= times.base);
});

test('somebody who holds a response waits less', async () => {
  const { health } = create();
  await fail(health, 'STORE_UNREACHABLE');
  assert.ok(health.waitMs(true) <= times.hurried);
  assert.ok(health.waitMs(false) > times.hurried);
});

test('a store that refuses one operation is there, one that refuses all is not', async () => {
  const { health } = create();
  await fail(health, 'STORE_REFUSED');
  await fail(health, 'STORE_REFUSED');
  assert.equal(health.isOk, true);
  await health.watch(Promise.resolve());
  for (let time = 0; time < 3; time++) await fail(health, 'STORE_REFUSED');
  assert.equal(health.isOk, false);
});

test('whatever a store throws arrives as a typed error', async () => {
  const { health } = create();
  await assert.rejects(health.watch(Promise.reject(new TypeError('oops'))), StickshiftError);
});

test('backoff grows from the base to the cap and is never in step', () => {
  fc.assert(
    fc.property(fc.nat({ max: 10_000 }), (failures) => {
      const delay = jitteredBackoff(failures, times);
      const full = Math.min(times.cap, times.base * 2 ** failures);
      assert.ok(delay >= full / 2 && delay <= full);
    }),
  );
  assert.notEqual(jitteredBackoff(3, times), jitteredBackoff(3, times));
});
