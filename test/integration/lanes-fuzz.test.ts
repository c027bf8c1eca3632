import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { clientStream } from '../fuzz/client-stream.ts';
import { fuzzLanes } from '../fuzz/lane-fuzz.ts';
import { Random } from '../fuzz/random.ts';

describe('damaged byte streams of many clients', () => {
  test('bring no client what is another’s, and the backend nothing but whole requests', async (t) => {
    const seed = String(Math.floor(Math.random() * 2 ** 32));
    t.diagnostic(`seed ${seed}: npm run fuzz -- --seed ${seed}`);
    const report = await fuzzLanes({ seed, seconds: 5 });
    assert.ok(report.streams > 0 && report.requests > 0 && report.good > 0, JSON.stringify(report));
  });

  test('are the same for the same seed, and others for another', () => {
    const streams = (seed: string) =>
      Array.from({ length: 50 }, (_, index) => clientStream(new Random(seed).fork(`${index}`)));
    assert.deepEqual(streams('a'), streams('a'));
    assert.notDeepEqual(streams('a'), streams('b'));
  });
});
