import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openLoop } from './open-loop.ts';

test('a stall makes every request late that was due meanwhile, and not only the one that met it', async () => {
  const stall = Promise.withResolvers<{ status: number }>();
  let sent = 0;
  const client = {
    send() {
      sent += 1;
      if (sent > 1) return Promise.resolve({ status: 200 });
      setTimeout(stall.resolve, 200, { status: 200 });
      return stall.promise;
    },
  };
  const { requests, errors, latency } = await openLoop([client], { perSecond: 100, seconds: 0.2 });
  assert.deepEqual([requests, errors, sent], [20, 0, 20]);
  // Half of them were due in the first half of the stall. Counted from when they were sent, they would have taken no time.
  assert.ok((latency?.p50Millis ?? 0) > 50, `${latency?.p50Millis}`);
});

test('what is not answered with 200 is an error, and has no latency', async () => {
  const client = { send: () => Promise.resolve({ status: 503 }) };
  const { requests, errors } = await openLoop([client, client], { perSecond: 1000, seconds: 0.01 });
  assert.deepEqual([requests, errors], [0, 10]);
});
