import { Redis } from 'ioredis';
import type { SessionKey } from '../../protocol/session-key.ts';
import { RedisSnapshotStore } from '../../store/redis/redis-snapshot-store.ts';
import type { Commit, CommitResult, TakenWatch, TakenWatcher } from '../../store/snapshot-store.ts';

/*
 * Preloaded into agents by `--control no-fencing`: a commit that the store refuses because the session is somebody else's by
 * now is written all the same, as a store without epochs would have it; and nobody is told that a session was taken from him, or he
 * would not commit it. CHAOS_STORE_URL names the store.
 */
const redis = new Redis(process.env.CHAOS_STORE_URL ?? '', { lazyConnect: true });
// The commit that follows fails as well, and is reported by the agent.
redis.on('error', () => undefined);

const fencedCommit = RedisSnapshotStore.prototype.commit;

RedisSnapshotStore.prototype.commit = async function commit(
  this: RedisSnapshotStore,
  key: SessionKey,
  change: Commit,
): Promise<CommitResult> {
  const result = await fencedCommit.call(this, key, change);
  if (result.outcome !== 'fenced') return result;
  await redis.del(`stickshift:{${key}}`);
  return fencedCommit.call(this, key, change);
};

RedisSnapshotStore.prototype.watchTaken = (_: string, watcher: TakenWatcher): TakenWatch => {
  setImmediate(() => watcher.missed());
  return {
    get heardUntil() {
      return performance.now();
    },
    stop: () => undefined,
  };
};
