import type { SessionKey } from '../../protocol/session-key.ts';
import { replaceStep } from '../record-rules.ts';
import type { ReplaceRequest, ReplaceResult, SnapshotStore } from '../snapshot-store.ts';

/**
 * A change of ID where the two records may be on different nodes: first the snapshot under the new ID, then the tombstone
 * under the old one. Whoever dies in between leaves both, and the agent's next attempt writes what is missing.
 */
export async function replaceInTwoSteps(
  store: Pick<SnapshotStore, 'lookup' | 'commit' | 'end'>,
  key: SessionKey,
  change: ReplaceRequest,
): Promise<ReplaceResult> {
  const { owner, epoch, until, successor, commit } = change;
  const step = replaceStep(await store.lookup(key), await store.lookup(successor), change);
  if (typeof step === 'object') return step;
  if (step === 'both') {
    const committed = await store.commit(successor, { owner, ...commit });
    if (committed.outcome !== 'committed') return committed;
  }
  const ended = await store.end(key, { owner, epoch, until });
  if (ended.outcome === 'ended') return { outcome: 'replaced' };
  // Somebody took the old session over meanwhile: the new one must not stand, for the caller is told that nothing does.
  await store.end(successor, { owner, epoch: commit.epoch, until });
  return ended;
}
