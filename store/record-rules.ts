import type {
  Absent,
  Commit,
  Ended,
  EndRequest,
  Fenced,
  RecordSummary,
  ReplaceRequest,
  Stale,
} from './snapshot-store.ts';

/*
 * The rules of `SnapshotStore` for adapters that decide in this process. The Redis scripts say the same in Lua
 * (`redis/scripts/record.lua`); the contract suite holds both to it. A `record` here is live: an expired one is absent.
 */

type Claim = Pick<Commit, 'owner' | 'epoch'>;

/** Why a commit has no effect; `undefined`: it has. */
export function commitRefusal(
  record: RecordSummary | undefined,
  commit: Claim & Pick<Commit, 'seq'>,
): Fenced | Stale | Ended | undefined {
  if (record === undefined) return undefined;
  if (record.state === 'ended') return { outcome: 'ended' };
  if (record.epoch < commit.epoch) return undefined;
  if (record.state !== 'active' || !owns(commit, record)) return fenced(record);
  return commit.seq <= record.seq ? { outcome: 'stale', seq: record.seq } : undefined;
}

/** Why a touch has no effect; `undefined`: it has. */
export function touchRefusal(
  record: RecordSummary | undefined,
  touch: Claim,
): Fenced | Ended | Absent | undefined {
  if (record === undefined) return { outcome: 'absent' };
  if (record.state === 'ended') return { outcome: 'ended' };
  if (record.epoch < touch.epoch) return { outcome: 'absent' };
  return record.state === 'active' && owns(touch, record) ? undefined : fenced(record);
}

/** Why a release writes nothing, or that it need not (`released` already); `undefined`: it is to be written. */
export function releaseRefusal(
  record: RecordSummary | undefined,
  release: Claim & { readonly finalSeq: number | undefined },
): Fenced | Stale | Ended | Absent | { readonly outcome: 'released' } | undefined {
  const { epoch, finalSeq } = release;
  if (record?.state === 'ended') return { outcome: 'ended' };
  if (record === undefined || record.epoch < epoch) {
    return finalSeq === undefined ? { outcome: 'absent' } : undefined;
  }
  if (!owns(release, record)) return fenced(record);
  const newer = finalSeq !== undefined && finalSeq > record.seq;
  if (record.state === 'released') return newer ? fenced(record) : { outcome: 'released' };
  return finalSeq !== undefined && !newer ? { outcome: 'stale', seq: record.seq } : undefined;
}

/** Why no tombstone is left; `undefined`: it is, or one that stands is prolonged. */
export function endRefusal(
  record: RecordSummary | undefined,
  end: Claim & Pick<EndRequest, 'stood'>,
): Fenced | undefined {
  if (record === undefined || record.state === 'ended' || end.stood || record.epoch < end.epoch)
    return undefined;
  if (record.owner === end.owner && (end.epoch === 0 || record.epoch === end.epoch)) return undefined;
  return fenced(record);
}

/** What a change of ID still has to write, or why it writes nothing. */
export function replaceStep(
  record: RecordSummary | undefined,
  successor: RecordSummary | undefined,
  { owner, epoch, commit }: Omit<ReplaceRequest, 'successor'>,
): Fenced | Stale | Ended | 'both' | 'tombstone' {
  const done =
    successor !== undefined &&
    successor.state !== 'ended' &&
    successor.owner === owner &&
    successor.epoch >= commit.epoch &&
    successor.seq >= commit.seq;
  if (record?.state === 'ended' && !done) return { outcome: 'ended' };
  const refusal = endRefusal(record, { owner, epoch });
  if (refusal !== undefined) return refusal;
  return done ? 'tombstone' : (commitRefusal(successor, { owner, ...commit }) ?? 'both');
}

/** What a tombstone keeps of the record that it replaces. */
export function tombstoneOf(
  record: RecordSummary | undefined,
  { owner, epoch }: Claim,
): Claim & Pick<Commit, 'seq'> {
  return { owner, epoch: Math.max(epoch, record?.epoch ?? 0), seq: record?.seq ?? 0 };
}

function owns(caller: Claim, record: RecordSummary): boolean {
  return record.owner === caller.owner && record.epoch === caller.epoch;
}

function fenced({ owner, epoch }: RecordSummary): Fenced {
  return { outcome: 'fenced', owner, epoch };
}
