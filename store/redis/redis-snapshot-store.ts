import type { Logger } from 'pino';
import { StickshiftError } from '../../protocol/errors.ts';
import type { SessionKey } from '../../protocol/session-key.ts';
import { parseAnnouncement } from '../announcement.ts';
import type {
  AdoptResult,
  BackendAnnouncement,
  Commit,
  CommitResult,
  EndResult,
  Fenced,
  RecordSummary,
  ReleaseResult,
  SnapshotStore,
  StoredRecord,
  StoreWarning,
  TouchResult,
} from '../snapshot-store.ts';
import { wholeNumber } from '../whole-number.ts';
import { RedisConnection } from './connection.ts';
import { asStoreError } from './redis-errors.ts';
import type { RedisTarget } from './redis-url.ts';
import { Reply } from './replies.ts';
import { runScript, type ScriptName } from './scripts.ts';
import { inspectServers } from './server-settings.ts';

/** How long {@link RedisSnapshotStore.open} waits for the first attempt to connect. */
const FIRST_ATTEMPT_MS = 2_000;

const BACKEND_INDEX = 'stickshift:backends';
const backendKey = (id: string) => `stickshift:backend:${id}`;
/** The braces make Redis Cluster hash the session key alone; whatever else a record may need can share its slot. */
const recordKey = (key: SessionKey) => `stickshift:{${key}}`;

export interface RedisStoreOptions {
  readonly target: RedisTarget;
  /** How long one operation may take, milliseconds. */
  readonly commandTimeout: number;
  readonly logger: Logger;
}

/** Snapshots in Redis 7.0 or later: one server, one that Sentinel appoints, or a cluster. See `docs/store.md`. */
export class RedisSnapshotStore implements SnapshotStore {
  readonly #connection: RedisConnection;
  readonly #label: string;
  readonly #timeoutMs: number;
  readonly #log: Logger;

  private constructor(options: RedisStoreOptions) {
    this.#connection = new RedisConnection(options.target, options.commandTimeout, options.logger);
    this.#label = options.target.label;
    this.#timeoutMs = options.commandTimeout;
    this.#log = options.logger;
  }

  /** Returns connected, or after a failed attempt; then it goes on trying, and operations reject until it succeeds. */
  static async open(options: RedisStoreOptions): Promise<RedisSnapshotStore> {
    const store = new RedisSnapshotStore(options);
    await store.#connection.firstAttempt(FIRST_ATTEMPT_MS);
    return store;
  }

  /** Calls `listener` now if there is a connection, and after every later connect. */
  onConnect(listener: () => void): void {
    this.#connection.client.on('ready', listener);
    if (this.#connection.ready) listener();
  }

  async lookup(key: SessionKey): Promise<RecordSummary | undefined> {
    const reply = await this.#run('lookup', recordKey(key), []);
    return choose(reply, { found: () => reply.summary(), absent: () => undefined });
  }

  async read(key: SessionKey): Promise<StoredRecord | undefined> {
    const reply = await this.#run('read', recordKey(key), []);
    return choose(reply, { found: () => reply.record(), absent: () => undefined });
  }

  async commit(key: SessionKey, { owner, epoch, ...change }: Commit): Promise<CommitResult> {
    const reply = await this.#run('commit', recordKey(key), [
      ...claim(owner, epoch),
      ...snapshotArgs(change),
    ]);
    return choose<CommitResult>(reply, {
      committed: () => ({ outcome: 'committed' }),
      fenced: () => fenced(reply),
      stale: () => ({ outcome: 'stale', seq: reply.whole(1) }),
      ended: () => ({ outcome: 'ended' }),
    });
  }

  async touch(
    key: SessionKey,
    { owner, epoch, deadlines }: Pick<Commit, 'owner' | 'epoch' | 'deadlines'>,
  ): Promise<TouchResult> {
    const idleAt = whole(deadlines.idleAt, 'idleAt');
    const reply = await this.#run('touch', recordKey(key), [...claim(owner, epoch), idleAt]);
    return choose<TouchResult>(reply, {
      touched: () => ({ outcome: 'touched' }),
      fenced: () => fenced(reply),
      ended: () => ({ outcome: 'ended' }),
      absent: () => ({ outcome: 'absent' }),
    });
  }

  async release(
    key: SessionKey,
    {
      owner,
      epoch,
      final,
    }: Pick<Commit, 'owner' | 'epoch'> & { readonly final?: Pick<Commit, 'seq' | 'snapshot' | 'deadlines'> },
  ): Promise<ReleaseResult> {
    const args = final === undefined ? claim(owner, epoch) : [...claim(owner, epoch), ...snapshotArgs(final)];
    const reply = await this.#run('release', recordKey(key), args);
    return choose<ReleaseResult>(reply, {
      released: () => ({ outcome: 'released' }),
      fenced: () => fenced(reply),
      stale: () => ({ outcome: 'stale', seq: reply.whole(1) }),
      ended: () => ({ outcome: 'ended' }),
      absent: () => ({ outcome: 'absent' }),
    });
  }

  async adopt(
    key: SessionKey,
    { owner, ifEpoch }: { readonly owner: string; readonly ifEpoch: number },
  ): Promise<AdoptResult> {
    const reply = await this.#run('adopt', recordKey(key), [owner, whole(ifEpoch, 'ifEpoch')]);
    return choose<AdoptResult>(reply, {
      adopted: () => ({ outcome: 'adopted', record: reply.record() }),
      moved: () => ({ outcome: 'moved', record: reply.summary() }),
      ended: () => ({ outcome: 'ended' }),
      absent: () => ({ outcome: 'absent' }),
    });
  }

  async end(
    key: SessionKey,
    { owner, epoch, until }: { readonly owner: string; readonly epoch: number; readonly until: number },
  ): Promise<EndResult> {
    const reply = await this.#run('end', recordKey(key), [...claim(owner, epoch), whole(until, 'until')]);
    return choose<EndResult>(reply, { ended: () => ({ outcome: 'ended' }), fenced: () => fenced(reply) });
  }

  async announce(backend: BackendAnnouncement, ttlMs: number): Promise<void> {
    const ttl = whole(ttlMs, 'ttlMs');
    // The index comes second: an ID without an announcement is skipped, an announcement without its ID never found.
    await this.#run('announce', backendKey(backend.id), [JSON.stringify(backend), ttl]);
    await this.#run('index-backend', BACKEND_INDEX, [backend.id, ttl]);
  }

  async backends(): Promise<BackendAnnouncement[]> {
    const { client } = this.#connection;
    const ids = await this.#ask('backends', () => client.zrange(BACKEND_INDEX, '0', '-1'));
    // One GET each, not MGET: in a cluster the keys are on different nodes.
    const texts = await Promise.all(ids.map((id) => this.#ask('backends', () => client.get(backendKey(id)))));
    return texts.flatMap((text, index) => {
      if (text === null) return [];
      try {
        return [parseAnnouncement(text)];
      } catch (error) {
        // One malformed announcement must not hide the other backends.
        this.#log.warn({ err: error, backend: ids[index] }, 'announcement skipped');
        return [];
      }
    });
  }

  async check(): Promise<StoreWarning[]> {
    const { client } = this.#connection;
    await this.#ask('check', () => client.ping());
    return this.#ask('check', () => inspectServers(client));
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }

  async #run(script: ScriptName, key: string, args: readonly (string | Buffer)[]): Promise<Reply> {
    const { client } = this.#connection;
    return new Reply(script, await this.#ask(script, () => runScript(client, script, key, args)));
  }

  /** Sends under a deadline of its own: ioredis counts its timeout anew after each wait for a pipeline or redirection. */
  async #ask<T>(operation: string, send: () => Promise<T>): Promise<T> {
    if (!this.#connection.ready) throw this.#connection.unavailable(operation);
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<never>((_, reject) => {
      const late = () =>
        reject(new StickshiftError('STORE_TIMEOUT', `${operation}: no answer in time (${this.#label})`));
      timer = setTimeout(late, this.#timeoutMs);
    });
    try {
      return await Promise.race([send(), deadline]);
    } catch (error) {
      throw asStoreError(error, operation, this.#label);
    } finally {
      clearTimeout(timer);
    }
  }
}

function choose<T>(reply: Reply, outcomes: Readonly<Record<string, () => T>>): T {
  const read = Object.hasOwn(outcomes, reply.outcome) ? outcomes[reply.outcome] : undefined;
  if (read === undefined) throw reply.invalid('an outcome that this operation does not have');
  return read();
}

function fenced(reply: Reply): Fenced {
  return { outcome: 'fenced', owner: reply.text(1), epoch: reply.whole(2) };
}

function whole(value: number, what: string): string {
  return String(wholeNumber(value, what));
}

function claim(owner: string, epoch: number): string[] {
  return [owner, whole(epoch, 'epoch')];
}

function snapshotArgs({
  seq,
  snapshot,
  deadlines,
}: Pick<Commit, 'seq' | 'snapshot' | 'deadlines'>): (string | Buffer)[] {
  const { idleAt, absoluteAt } = deadlines;
  return [
    whole(seq, 'seq'),
    whole(idleAt, 'idleAt'),
    absoluteAt === undefined ? '' : whole(absoluteAt, 'absoluteAt'),
    // ioredis would send a Uint8Array that is no Buffer as "1,2,3".
    Buffer.from(snapshot.buffer, snapshot.byteOffset, snapshot.byteLength),
  ];
}
