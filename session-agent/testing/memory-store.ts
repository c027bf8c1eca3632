import { StickshiftError } from '../../protocol/errors.ts';
import type { SessionKey } from '../../protocol/session-key.ts';
import type {
  AdoptResult,
  BackendAnnouncement,
  Commit,
  CommitResult,
  EndResult,
  RecordSummary,
  ReleaseResult,
  SnapshotStore,
  StoredRecord,
  StoreWarning,
  TouchResult,
} from '../../store/snapshot-store.ts';

/** What a call meets: nothing, no connection, or a lost answer with an effect now, later or never. */
export type Fault = 'none' | 'unreachable' | 'lost-applied' | 'lost-late' | 'lost' | 'refused';

/** A commit that was sent and may have had an effect, whatever became of the answer. */
export interface SentCommit extends Commit {
  readonly key: SessionKey;
}

type Held = { -readonly [K in keyof Omit<StoredRecord, 'ageMs' | 'size'>]: StoredRecord[K] };

/** A store in memory whose calls fail as a test wants it. */
export class MemoryStore implements SnapshotStore {
  readonly records = new Map<SessionKey, Held>();
  readonly sent: SentCommit[] = [];
  readonly announced = new Map<string, { readonly backend: BackendAnnouncement; readonly until: number }>();
  readonly #late: (() => unknown)[] = [];
  /** Decides about each call. */
  fault: (operation: keyof SnapshotStore) => Fault = () => 'none';
  calls = 0;

  /** Carries out what calls with a lost answer left behind on the way. */
  deliverLate(): void {
    for (const apply of this.#late.splice(0)) apply();
  }

  lookup(key: SessionKey): Promise<RecordSummary | undefined> {
    return this.#call('lookup', () => summary(this.#live(key)));
  }

  read(key: SessionKey): Promise<StoredRecord | undefined> {
    return this.#call('read', () => this.#live(key));
  }

  commit(key: SessionKey, commit: Commit): Promise<CommitResult> {
    return this.#call(
      'commit',
      (): CommitResult => {
        assertNumbers(commit.epoch, commit.seq, commit.deadlines.idleAt);
        const record = this.#live(key);
        if (record?.state === 'ended') return { outcome: 'ended' };
        if (
          record &&
          (record.state !== 'active' || record.owner !== commit.owner || record.epoch !== commit.epoch)
        ) {
          return fenced(record);
        }
        if (record && record.seq >= commit.seq) return { outcome: 'stale', seq: record.seq };
        this.records.set(key, { ...commit, state: 'active', committedAt: Date.now() });
        return { outcome: 'committed' };
      },
      () => this.sent.push({ key, ...commit }),
    );
  }

  touch(key: SessionKey, touch: Pick<Commit, 'owner' | 'epoch' | 'deadlines'>): Promise<TouchResult> {
    return this.#call('touch', (): TouchResult => {
      const record = this.#live(key);
      if (!record) return { outcome: 'absent' };
      if (record.state === 'ended') return { outcome: 'ended' };
      if (record.state !== 'active' || record.owner !== touch.owner || record.epoch !== touch.epoch) {
        return fenced(record);
      }
      const deadlines = { ...record.deadlines, idleAt: touch.deadlines.idleAt };
      this.records.set(key, { ...record, deadlines });
      return { outcome: 'touched' };
    });
  }

  release(
    key: SessionKey,
    release: Pick<Commit, 'owner' | 'epoch'> & {
      readonly final?: Pick<Commit, 'seq' | 'snapshot' | 'deadlines'>;
    },
  ): Promise<ReleaseResult> {
    return this.#call('release', (): ReleaseResult => {
      const record = this.#live(key);
      const { owner, epoch, final } = release;
      if (record?.state === 'ended') return { outcome: 'ended' };
      if (record && (record.owner !== owner || record.epoch !== epoch)) return fenced(record);
      const isNew = final && final.seq > (record?.seq ?? 0);
      if (record?.state === 'released') return isNew ? fenced(record) : { outcome: 'released' };
      if (record && final && !isNew) return { outcome: 'stale', seq: record.seq };
      if (final) {
        this.records.set(key, { owner, epoch, ...final, state: 'released', committedAt: Date.now() });
      } else if (record) {
        this.records.set(key, { ...record, state: 'released' });
      } else {
        return { outcome: 'absent' };
      }
      return { outcome: 'released' };
    });
  }

  adopt(key: SessionKey, adopt: { readonly owner: string; readonly ifEpoch: number }): Promise<AdoptResult> {
    return this.#call('adopt', (): AdoptResult => {
      const record = this.#live(key);
      if (!record) return { outcome: 'absent' };
      if (record.state === 'ended') return { outcome: 'ended' };
      if (record.epoch !== adopt.ifEpoch) return { outcome: 'moved', record: summary(record) };
      const adopted = { ...record, owner: adopt.owner, epoch: record.epoch + 1, state: 'active' as const };
      this.records.set(key, adopted);
      return { outcome: 'adopted', record: adopted };
    });
  }

  end(
    key: SessionKey,
    end: { readonly owner: string; readonly epoch: number; readonly until: number },
  ): Promise<EndResult> {
    return this.#call('end', (): EndResult => {
      const record = this.#live(key);
      if (record?.state === 'ended') {
        const idleAt = Math.max(record.deadlines.idleAt, end.until);
        this.records.set(key, { ...record, deadlines: { idleAt, absoluteAt: undefined } });
        return { outcome: 'ended' };
      }
      if (record && (record.owner !== end.owner || (end.epoch !== 0 && record.epoch !== end.epoch))) {
        return fenced(record);
      }
      this.records.set(key, {
        state: 'ended',
        owner: end.owner,
        epoch: record?.epoch ?? end.epoch,
        seq: record?.seq ?? 0,
        committedAt: Date.now(),
        deadlines: { idleAt: end.until, absoluteAt: undefined },
        snapshot: new Uint8Array(),
      });
      return { outcome: 'ended' };
    });
  }

  announce(backend: BackendAnnouncement, ttlMs: number): Promise<void> {
    return this.#call('announce', () => {
      this.announced.set(backend.id, { backend, until: Date.now() + ttlMs });
    });
  }

  async backends(): Promise<BackendAnnouncement[]> {
    return [...this.announced.values()]
      .filter(({ until }) => until > Date.now())
      .map(({ backend }) => backend);
  }

  async check(): Promise<StoreWarning[]> {
    return [];
  }

  async close(): Promise<void> {
    this.records.clear();
  }

  #live(key: SessionKey): StoredRecord | undefined {
    const record = this.records.get(key);
    if (!record) return undefined;
    const { idleAt, absoluteAt = Number.POSITIVE_INFINITY } = record.deadlines;
    if (Math.min(idleAt, absoluteAt) <= Date.now()) return undefined;
    return { ...record, size: record.snapshot.length, ageMs: Date.now() - record.committedAt };
  }

  async #call<T>(operation: keyof SnapshotStore, apply: () => T, onSent?: () => void): Promise<T> {
    this.calls++;
    // An answer never comes in the same turn.
    await new Promise(setImmediate);
    const fault = this.fault(operation);
    if (fault === 'unreachable') throw new StickshiftError('STORE_UNREACHABLE', 'no connection');
    if (fault === 'refused') throw new StickshiftError('STORE_REFUSED', 'out of memory');
    onSent?.();
    if (fault === 'none') return apply();
    if (fault === 'lost-applied') apply();
    if (fault === 'lost-late') this.#late.push(apply);
    throw new StickshiftError('STORE_TIMEOUT', 'no answer');
  }
}

function summary<T extends StoredRecord | undefined>(record: T): RecordSummary | (undefined & T) {
  if (!record) return record;
  const { snapshot: _, ...rest } = record;
  return rest;
}

function assertNumbers(...numbers: number[]): void {
  if (!numbers.every((each) => Number.isSafeInteger(each) && each >= 0)) {
    throw new StickshiftError('INTERNAL', `not whole numbers: ${numbers}`);
  }
}

function fenced({ owner, epoch }: RecordSummary) {
  return { outcome: 'fenced', owner, epoch } as const;
}
