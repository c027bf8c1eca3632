import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aCommit, aRecord, newKey } from '../../test/contract/snapshot-store/sample-records.ts';
import { snapshotStoreContract } from '../../test/contract/snapshot-store.ts';
import { MemoryStore } from './memory-store.ts';

// What the agent's tests show is worth something only if their store behaves as the real ones do.
const store = new MemoryStore();
snapshotStoreContract('memory, for tests of the agent', { skip: false }, async () => ({
  store,
  close: async () => undefined,
}));

test('the store in memory settles when it loses data, and calls back each time', async () => {
  const memory = new MemoryStore();
  let begun = 0;
  memory.onSettling(() => begun++);
  const key = await aRecord(memory);
  const before = memory.checkpoint();
  await memory.commit(key, aCommit({ seq: 2 }));
  assert.equal(memory.settlingMs, 0);

  memory.forgetTail(before);
  assert.equal((await memory.lookup(key))?.seq, 1);
  assert.ok(memory.settlingMs > 0);
  memory.loseData();
  assert.equal(await memory.lookup(key), undefined);
  assert.equal(begun, 2);
});

test('the store in memory has as many replicas as the test says', async () => {
  const memory = new MemoryStore();
  assert.equal((await memory.commit(newKey(), aCommit({ replicas: 1 }))).outcome, 'committed');
  memory.replicas = 0;
  await assert.rejects(memory.commit(newKey(), aCommit({ replicas: 1 })), { code: 'STORE_NOT_REPLICATED' });
});
