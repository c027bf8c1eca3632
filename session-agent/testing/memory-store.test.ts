import { snapshotStoreContract } from '../../test/contract/snapshot-store.ts';
import { MemoryStore } from './memory-store.ts';

// What the agent's tests show is worth something only if their store behaves as the real ones do.
const store = new MemoryStore();
snapshotStoreContract('memory, for tests of the agent', { skip: false }, async () => ({
  store,
  close: async () => undefined,
}));
