import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { aCommit, newKey, type StoreUnderTest } from './sample-records.ts';

export function snapshots(store: StoreUnderTest): void {
  describe('snapshots', () => {
    const samples: Record<string, Uint8Array> = {
      'with every byte value': Uint8Array.from({ length: 512 }, (_, index) => index % 256),
      'that are empty': new Uint8Array(),
      'of one MiB': new Uint8Array(randomBytes(1024 * 1024)),
      'that are a part of a larger buffer': new Uint8Array(randomBytes(64).buffer, 8, 16),
      'that look like protocol': new TextEncoder().encode('*1\r\n$4\r\nPING\r\n\0'),
    };
    for (const [what, snapshot] of Object.entries(samples)) {
      test(`${what} come back as they were, from read, adopt and release`, async () => {
        const key = newKey();
        await store().commit(key, aCommit({ snapshot }));
        assert.deepEqual(Buffer.from((await store().read(key))?.snapshot ?? []), Buffer.from(snapshot));
        const adopted = await store().adopt(key, { owner: 'app-2', ifEpoch: 1 });
        assert.ok(adopted.outcome === 'adopted');
        assert.deepEqual(Buffer.from(adopted.record.snapshot), Buffer.from(snapshot));
        assert.equal(adopted.record.size, snapshot.length);

        const { deadlines } = aCommit();
        await store().release(key, { owner: 'app-2', epoch: 2, final: { seq: 2, snapshot, deadlines } });
        const released = await store().read(key);
        assert.equal(released?.size, snapshot.length);
        assert.deepEqual(Buffer.from(released?.snapshot ?? []), Buffer.from(snapshot));
      });
    }
  });
}
