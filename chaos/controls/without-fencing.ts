import type { SessionKey } from '../../protocol/session-key.ts';
import { RedisSnapshotStore } from '../../store/redis/redis-snapshot-store.ts';
import type { Commit, CommitResult } from '../../store/snapshot-store.ts';

/*
 * Preloaded into agents by `--control no-fencing`: a commit that the store refuses because the session is somebody else's
 * takes the record and writes all the same, as a store without epochs would have it.
 */
const fencedCommit = RedisSnapshotStore.prototype.commit;

RedisSnapshotStore.prototype.commit = async function commit(
  this: RedisSnapshotStore,
  key: SessionKey,
  change: Commit,
): Promise<CommitResult> {
  const result = await fencedCommit.call(this, key, change);
  if (result.outcome !== 'fenced') return result;
  const record = await this.lookup(key);
  if (record === undefined || record.state === 'ended') return result;
  const adopted = await this.adopt(key, { owner: change.owner, ifEpoch: record.epoch });
  if (adopted.outcome !== 'adopted') return result;
  return fencedCommit.call(this, key, {
    ...change,
    epoch: adopted.record.epoch,
    seq: Math.max(change.seq, adopted.record.seq + 1),
  });
};
