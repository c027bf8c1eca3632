import { randomUUID } from 'node:crypto';
import { StickshiftError } from '../../protocol/errors.ts';
import type { SessionKey } from '../../protocol/session-key.ts';
import {
  commitRefusal,
  endRefusal,
  releaseRefusal,
  replaceStep,
  tombstoneOf,
  touchRefusal,
} from '../../store/record-rules.ts';
import { Settling } from '../../store/settling.ts';
import type {
  AdoptRequest,
  AdoptResult,
  AnnounceResult,
  BackendAnnouncement,
  BackendStateChange,
  Commit,
  CommitResult,
  EndRequest,
  EndResult,
  RecordState,
  RecordSummary,
  ReleaseRequest,
  ReleaseResult,
  ReplaceRequest,
  ReplaceResult,
  SharedBackendState,
  SnapshotStore,
  StoredRecord,
  StoreWarning,
  TakenWatch,
  TakenWatcher,
  TouchRequest,
  TouchResult,
} from '../../store/snapshot-store.ts';

/** What a call meets: nothing, no connection, or a lost answer with an effect now, later or never. */
export type Fault = 'none' | 'unreachable' | 'lost-applied' | 'lost-late' | 'lost' | 'refused';

/** A commit that was sent and may have had an effect, whatever became of the answer. */
export interface SentCommit extends Commit {
  readonly key: SessionKey;
}

type Held = { -readonly [K in keyof Omit<StoredRecord, 'ageMs' | 'size'>]: StoredRecord[K] };

/** A store in memory whose calls fail as a test wants it, and that forgets what a test wants forgotten. */
export class MemoryStore implements SnapshotStore {
  readonly records = new Map<SessionKey, Held>();
  readonly sent: SentCommit[] = [];
  /** By application and ID of the backend, with a slash between. */
  readonly announced = new Map<string, { readonly backend: BackendAnnouncement; readonly until: number }>();
  readonly #states = new Map<string, Omit<SharedBackendState, 'remainingMs'> & { readonly until: number }>();
  readonly #late: (() => unknown)[] = [];
  readonly #watches = new Set<{ readonly owner: string; readonly watcher: TakenWatcher }>();
  /** Since when watchers are told nothing, on the clock of `performance.now()`. */
  #deafSince: number | undefined;
  readonly #settling: Settling;
  /** Decides about each call. */
  fault: (operation: keyof SnapshotStore) => Fault = () => 'none';
  /** How many replicas the store has: those who ask for more get `STORE_NOT_REPLICATED`. */
  replicas = 1;
  calls = 0;

  /** @param settleMs - how long {@link loseData} and {@link forgetTail} have it settle */
  constructor({ settleMs = 5_000 }: { readonly settleMs?: number } = {}) {
    this.#settling = new Settling(settleMs);
    this.#settling.learn({ token: randomUUID(), remainingMs: 0 });
  }

  /** Carries out what calls with a lost answer left behind on the way. */
  deliverLate(): void {
    for (const apply of this.#late.splice(0)) apply();
  }

  /** From now on, watchers of taken sessions hear nothing. */
  cutWatches(): void {
    this.#deafSince ??= performance.now();
  }

  /** Watchers hear again, and that they missed something. */
  restoreWatches(): void {
    for (const { watcher } of this.#watches) watcher.missed();
    this.#deafSince = undefined;
  }

  /** The store is restarted empty. */
  loseData(): void {
    this.forgetTail(new Map());
  }

  /** The records as they are now, for {@link forgetTail}. */
  checkpoint(): ReadonlyMap<SessionKey, Held> {
    return new Map(this.records);
  }

  /** The store fails over to a replica that knows nothing of what was written since `checkpoint`. */
  forgetTail(checkpoint: ReadonlyMap<SessionKey, Held>): void {
    this.records.clear();
    for (const [key, record] of checkpoint) this.records.set(key, record);
    this.#settling.learn({ token: randomUUID(), remainingMs: 0 });
  }

  /** Settling begins, or is prolonged, by another process. */
  beginSettling(ms: number): void {
    this.#settling.learn({ token: this.#settling.token ?? '', remainingMs: ms });
  }

  get settlingMs(): number {
    return this.#settling.remainingMs;
  }

  onSettling(listener: () => void): () => void {
    return this.#settling.onBegin(listener);
  }

  prolongSettling(ms: number): Promise<void> {
    return this.#call('prolongSettling', () => this.#settling.prolong(ms));
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
        const record = this.#live(key);
        const refusal = commitRefusal(record, commit);
        if (refusal) return refusal;
        this.#tellTaken(key, record, commit.owner);
        this.#put(key, 'active', commit);
        return { outcome: 'committed' };
      },
      { replicas: commit.replicas, onSent: () => this.sent.push({ key, ...commit }) },
    );
  }

  touch(key: SessionKey, touch: TouchRequest): Promise<TouchResult> {
    return this.#call('touch', (): TouchResult => {
      const record = this.#live(key);
      const refusal = touchRefusal(record, touch);
      if (refusal) return refusal;
      const deadlines = { absoluteAt: undefined, ...record?.deadlines, idleAt: touch.deadlines.idleAt };
      if (record) this.records.set(key, { ...record, deadlines });
      return { outcome: 'touched' };
    });
  }

  release(key: SessionKey, { owner, epoch, final, replicas }: ReleaseRequest): Promise<ReleaseResult> {
    return this.#call(
      'release',
      (): ReleaseResult => {
        const record = this.#live(key);
        const refusal = releaseRefusal(record, { owner, epoch, finalSeq: final?.seq });
        if (refusal) return refusal;
        this.#tellTaken(key, record, owner);
        if (final) this.#put(key, 'released', { owner, epoch, ...final });
        else if (record) this.records.set(key, { ...record, state: 'released' });
        return { outcome: 'released' };
      },
      { replicas },
    );
  }

  adopt(key: SessionKey, adopt: AdoptRequest): Promise<AdoptResult> {
    return this.#call('adopt', (): AdoptResult => {
      const record = this.#live(key);
      if (!record) return { outcome: 'absent' };
      if (record.state === 'ended') return { outcome: 'ended' };
      if (record.epoch !== adopt.ifEpoch) return { outcome: 'moved', record: summary(record) };
      const taken = this.#tellTaken(key, record, adopt.owner);
      const adopted = { ...record, owner: adopt.owner, epoch: record.epoch + 1, state: 'active' as const };
      this.records.set(key, adopted);
      return { outcome: 'adopted', record: adopted, taken };
    });
  }

  end(key: SessionKey, end: EndRequest): Promise<EndResult> {
    const apply = (): EndResult => {
      if (end.stood && end.until <= Date.now()) return { outcome: 'ended' };
      const record = this.#live(key);
      const refusal = endRefusal(record, end);
      if (refusal) return refusal;
      this.#entomb(key, record, end);
      return { outcome: 'ended' };
    };
    return this.#call('end', apply, { replicas: end.replicas });
  }

  replace(key: SessionKey, change: ReplaceRequest): Promise<ReplaceResult> {
    const { owner, successor, commit } = change;
    return this.#call(
      'replace',
      (): ReplaceResult => {
        const record = this.#live(key);
        const next = this.#live(successor);
        const step = replaceStep(record, next, change);
        if (typeof step === 'object') return step;
        if (step === 'both') {
          this.#tellTaken(successor, next, owner);
          this.#put(successor, 'active', { owner, ...commit });
        }
        this.#entomb(key, record, change);
        return { outcome: 'replaced' };
      },
      { replicas: commit.replicas, onSent: () => this.sent.push({ key: successor, owner, ...commit }) },
    );
  }

  announce(backend: BackendAnnouncement, ttlMs: number): Promise<AnnounceResult> {
    return this.#call('announce', (): AnnounceResult => {
      const key = `${backend.application}/${backend.id}`;
      const other = this.#announcement(key);
      if (other && other.incarnation !== backend.incarnation && other.agent !== backend.agent) {
        return { outcome: 'claimed', by: other };
      }
      this.announced.set(key, { backend, until: Date.now() + ttlMs });
      return { outcome: 'announced' };
    });
  }

  withdraw(backend: Pick<BackendAnnouncement, 'application' | 'id' | 'incarnation'>): Promise<void> {
    return this.#call('withdraw', () => {
      const key = `${backend.application}/${backend.id}`;
      if (this.#announcement(key)?.incarnation === backend.incarnation) this.announced.delete(key);
    });
  }

  async backends(): Promise<BackendAnnouncement[]> {
    return [...this.announced.keys()].flatMap((key) => this.#announcement(key) ?? []);
  }

  watchTaken(owner: string, watcher: TakenWatcher): TakenWatch {
    const watch = { owner, watcher };
    this.#watches.add(watch);
    setImmediate(() => {
      if (this.#deafSince === undefined && this.#watches.has(watch)) watcher.missed();
    });
    const heardUntil = () => this.#deafSince ?? performance.now();
    return {
      get heardUntil() {
        return heardUntil();
      },
      stop: () => this.#watches.delete(watch),
    };
  }

  setBackendState(change: BackendStateChange): Promise<SharedBackendState> {
    return this.#call('setBackendState', () => {
      const { application, backend, state, deadlineMs } = change;
      const key = `${application}/${backend}`;
      const revision = (this.#states.get(key)?.revision ?? 0) + 1;
      const until = state === 'ready' ? 0 : Date.now() + deadlineMs;
      this.#states.set(key, { application, backend, state, revision, until });
      return { application, backend, state, revision, remainingMs: state === 'ready' ? 0 : deadlineMs };
    });
  }

  backendStates(application: string): Promise<SharedBackendState[]> {
    return this.#call('backendStates', () =>
      [...this.#states.values()]
        .filter((each) => each.application === application)
        .map(({ until, ...rest }) => ({ ...rest, remainingMs: Math.max(0, until - Date.now()) })),
    );
  }

  async check(): Promise<StoreWarning[]> {
    return [];
  }

  async close(): Promise<void> {
    this.records.clear();
  }

  #live(key: SessionKey): (Held & StoredRecord) | undefined {
    const record = this.records.get(key);
    if (!record) return undefined;
    const { idleAt, absoluteAt = Number.POSITIVE_INFINITY } = record.deadlines;
    if (Math.min(idleAt, absoluteAt) <= Date.now()) return undefined;
    return { ...record, size: record.snapshot.length, ageMs: Date.now() - record.committedAt };
  }

  #put(key: SessionKey, state: RecordState, commit: Omit<Commit, 'replicas'>): void {
    const { owner, epoch, seq, snapshot, deadlines } = commit;
    assertNumbers(epoch, seq, deadlines.idleAt);
    this.records.set(key, { state, owner, epoch, seq, snapshot, deadlines, committedAt: Date.now() });
  }

  #entomb(
    key: SessionKey,
    record: RecordSummary | undefined,
    end: Omit<EndRequest, 'replicas' | 'stood'>,
  ): void {
    this.#tellTaken(key, record, end.owner);
    const standing = record?.state === 'ended' ? record : undefined;
    const idleAt = Math.max(end.until, standing?.deadlines.idleAt ?? 0);
    const deadlines = { idleAt, absoluteAt: undefined };
    this.#put(key, 'ended', {
      ...(standing ?? tombstoneOf(record, end)),
      deadlines,
      snapshot: new Uint8Array(),
    });
  }

  /** Returns whether the record is another owner's. */
  #tellTaken(key: SessionKey, record: RecordSummary | undefined, by: string): boolean {
    if (record?.state !== 'active' || record.owner === by) return false;
    for (const { owner, watcher } of this.#watches) {
      if (owner === record.owner && this.#deafSince === undefined) watcher.taken([key]);
    }
    return true;
  }

  #announcement(key: string): BackendAnnouncement | undefined {
    const found = this.announced.get(key);
    return found && found.until > Date.now() ? found.backend : undefined;
  }

  async #call<T>(
    operation: keyof SnapshotStore,
    apply: () => T,
    { replicas = 0, onSent }: { replicas?: number | undefined; onSent?: () => void } = {},
  ): Promise<T> {
    this.calls++;
    // An answer never comes in the same turn.
    await new Promise(setImmediate);
    const fault = this.fault(operation);
    if (fault === 'unreachable') throw new StickshiftError('STORE_UNREACHABLE', 'no connection');
    if (fault === 'refused') throw new StickshiftError('STORE_REFUSED', 'out of memory');
    onSent?.();
    if (fault === 'none') {
      const result = apply();
      if (replicas > this.replicas) throw new StickshiftError('STORE_NOT_REPLICATED', 'too few replicas');
      return result;
    }
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
