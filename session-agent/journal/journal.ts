import type { Logger } from 'pino';
import { StickshiftError } from '../../protocol/errors.ts';
import type { SessionKey } from '../../protocol/session-key.ts';
import { ATTRIBUTE } from '../../protocol/telemetry-names.ts';
import { decodeEntry, encodeEntry, type JournalEntry, type JournaledTombstone } from './entry.ts';
import type { JournalOwner } from './file-header.ts';
import { decodeFrame, encodeFrame, type FoundFrame, frameSize } from './frame.ts';
import { JournalFile } from './journal-file.ts';

/** Share of the size that entries may take; the rest is room for those that were replaced, and for tidying up. */
const LIVE_SHARE = 0.4;
/** Less waste than this is not worth tidying up, bytes. */
const SMALL_WASTE = 1024 * 1024;
/** How long what nobody waits for may wait for company, milliseconds. */
const LAZY_MS = 100;
/** Of the journal's size, for one tombstone that stands; an entry takes a tenth of it. */
const BYTES_PER_TOMBSTONE = 1_000;
/** After a failed write, how long others are refused without trying, milliseconds. */
const RETRY_MS = 1_000;

export interface JournalOptions {
  readonly directory: string;
  /** Most bytes that the file may take, the one that replaces it included. */
  readonly size: number;
  readonly owner: JournalOwner;
  readonly logger: Logger;
}

/** Where the entry of a session key stands in the file. */
interface Slot {
  readonly kind: JournalEntry['kind'];
  readonly number: number;
  readonly size: number;
  offset: number;
}

interface Queued {
  readonly bytes: Buffer;
  readonly key: SessionKey;
  /** Absent for a mark that something is settled. */
  readonly slot?: Slot;
  resolve(): void;
  reject(error: StickshiftError): void;
}

/**
 * What this agent has acknowledged, or has to remember, without the store: on disk, one entry per session key. Entries that
 * arrive together share one sync of the disk.
 */
export class Journal {
  readonly #file: JournalFile;
  readonly #limit: number;
  readonly #logger: Logger;
  readonly #live = new Map<SessionKey, Slot>();
  /** Keys with entries that wait for the disk, and how many. */
  readonly #coming = new Map<SessionKey, number>();
  readonly #counts = { snapshot: 0, logout: 0, tombstone: 0 };
  #liveBytes = 0;
  #queuedBytes = 0;
  #queue: Queued[] = [];
  #number = 0;
  #failures = 0;
  #retryAt = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Everything that touches the file, one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  #flushing: Promise<void> | undefined;

  private constructor(file: JournalFile, { size, logger }: JournalOptions) {
    this.#file = file;
    this.#limit = size;
    this.#logger = logger;
  }

  /**
   * Opens the journal and finds what a former life of the agent has left in it.
   *
   * @throws StickshiftError `JOURNAL_INVALID` or `JOURNAL_FAILED`: the agent must not start
   */
  static async open(
    options: JournalOptions,
  ): Promise<{ readonly journal: Journal; readonly tombstones: readonly JournaledTombstone[] }> {
    const { directory, owner, logger } = options;
    const { file, frames, isDamaged } = await JournalFile.open(directory, owner, logger);
    const journal = new Journal(file, options);
    const tombstones = await journal.#recover(frames, isDamaged);
    return { journal, tombstones };
  }

  /** Bytes of the file. */
  get bytes(): number {
    return this.#file.size;
  }

  /** Entries of each kind that count. */
  get counts(): Readonly<Record<JournalEntry['kind'], number>> {
    return this.#counts;
  }

  /** Writes that failed or found the journal full. */
  get failures(): number {
    return this.#failures;
  }

  /** How many standing tombstones may be kept here: they must leave the room to what is acknowledged. */
  get tombstoneLimit(): number {
    return Math.floor(this.#limit / BYTES_PER_TOMBSTONE);
  }

  /** Keys of what is to be brought to the store. */
  outstanding(): SessionKey[] {
    return [...this.#live].filter(([, { kind }]) => kind !== 'tombstone').map(([key]) => key);
  }

  /**
   * Resolves when the disk has the entry; it takes the place of an earlier one of its key.
   *
   * @throws StickshiftError `JOURNAL_FULL` or `JOURNAL_FAILED`
   */
  append(entry: JournalEntry): Promise<void> {
    return new Promise((resolve, reject) => {
      const { kind, payload } = encodeEntry(entry);
      const size = frameSize(payload.length);
      const replaced = this.#live.get(entry.key)?.size ?? 0;
      if (this.#isFullWith(size - replaced)) {
        this.#failures++;
        throw new StickshiftError(
          'JOURNAL_FULL',
          `the journal holds as much as it may of ${this.#limit} bytes`,
        );
      }
      if (performance.now() < this.#retryAt) {
        this.#failures++;
        throw new StickshiftError('JOURNAL_FAILED', 'the journal could not be written a moment ago');
      }
      const number = ++this.#number;
      const bytes = encodeFrame({ number, kind, payload });
      const slot = { kind: entry.kind, number, size, offset: 0 };
      this.#add({ bytes, key: entry.key, slot, resolve, reject });
      void this.#flush();
    });
  }

  /** Writes the entry soon; nobody depends on it. A failure is logged and counted. */
  note(entry: JournalEntry): void {
    const { kind, payload } = encodeEntry(entry);
    const number = ++this.#number;
    const slot = { kind: entry.kind, number, size: frameSize(payload.length), offset: 0 };
    if (this.#isFullWith(slot.size)) this.#failures++;
    else this.#addLazily({ bytes: encodeFrame({ number, kind, payload }), key: entry.key, slot });
  }

  /** The key's entry is dealt with, also one that is being appended. What is appended from now on counts. */
  settle(key: SessionKey): void {
    if (!this.#live.has(key) && !this.#coming.has(key)) return;
    this.#remove(key);
    const { kind, payload } = encodeEntry({ kind: 'settled', key });
    this.#addLazily({ bytes: encodeFrame({ number: ++this.#number, kind, payload }), key });
  }

  /** The key's entry as the disk has it. */
  read(key: SessionKey): Promise<JournalEntry | undefined> {
    return this.#inTurn(async () => {
      const slot = this.#live.get(key);
      if (!slot) return undefined;
      const frame = decodeFrame(await this.#file.read(slot.offset, slot.size));
      if (!frame)
        throw new StickshiftError('JOURNAL_FAILED', 'an entry of the journal cannot be read any more');
      const entry = decodeEntry(frame.kind, frame.payload);
      return entry.kind === 'settled' ? undefined : entry;
    });
  }

  /** Writes what waits, and lets another process have the directory. */
  async close(): Promise<void> {
    await this.#flush();
    clearTimeout(this.#timer);
    await this.#inTurn(() => this.#file.close());
  }

  #isFullWith(more: number): boolean {
    return this.#liveBytes + this.#queuedBytes + more > this.#limit * LIVE_SHARE;
  }

  #add(queued: Queued): void {
    this.#queue.push(queued);
    this.#queuedBytes += queued.bytes.length;
    if (queued.slot) this.#coming.set(queued.key, (this.#coming.get(queued.key) ?? 0) + 1);
  }

  #addLazily(queued: Omit<Queued, 'resolve' | 'reject'>): void {
    this.#add({ ...queued, resolve: () => undefined, reject: () => undefined });
    this.#timer ??= setTimeout(() => void this.#flush(), LAZY_MS).unref();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  /** Resolves when nothing waits any more. */
  #flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#queue.length > 0) this.#flushing ??= this.#writeAll();
    return this.#flushing ?? Promise.resolve();
  }

  async #writeAll(): Promise<void> {
    while (this.#queue.length > 0) await this.#inTurn(() => this.#writeQueue());
    // In the same turn in which the queue was seen to be empty: what comes later must find that nobody is at it.
    this.#flushing = undefined;
  }

  /** Never rejects: those who wait are told. */
  async #writeQueue(): Promise<void> {
    const batch = this.#queue;
    const size = this.#queuedBytes;
    this.#queue = [];
    this.#queuedBytes = 0;
    try {
      if (this.#live.size === 0 && batch.every(({ slot }) => slot === undefined)) {
        await this.#file.empty();
      } else {
        if (this.#retryAt > 0 && this.#waste > 0) await this.#makeRoom();
        else if (this.#isTidyingDue(size)) await this.#tidy();
        let offset = await this.#file.append(Buffer.concat(batch.map(({ bytes }) => bytes)));
        for (const { bytes, key, slot } of batch) {
          if (slot) this.#put(key, { ...slot, offset });
          else this.#remove(key);
          offset += bytes.length;
        }
      }
      if (this.#retryAt > 0) this.#logger.info('the journal can be written again');
      this.#retryAt = 0;
      for (const { resolve } of batch) resolve();
    } catch (error) {
      const failure = new StickshiftError('JOURNAL_FAILED', 'the journal cannot be written', {
        cause: error,
      });
      if (this.#retryAt === 0)
        this.#logger.error({ err: failure }, 'the journal cannot be written; trying on');
      this.#failures++;
      this.#retryAt = performance.now() + RETRY_MS;
      for (const { reject } of batch) reject(failure);
    }
    for (const { key, slot } of batch) if (slot) this.#arrived(key);
  }

  #arrived(key: SessionKey): void {
    const others = (this.#coming.get(key) ?? 1) - 1;
    if (others > 0) this.#coming.set(key, others);
    else this.#coming.delete(key);
  }

  /** Bytes of the file that do not count any more. */
  get #waste(): number {
    return this.#file.size - this.#liveBytes;
  }

  #isTidyingDue(coming: number): boolean {
    // Room for the file that takes the place of this one must be left.
    const isTight = this.#file.size + this.#liveBytes + 2 * coming > this.#limit;
    return this.#waste > 0 && (isTight || this.#waste > Math.max(SMALL_WASTE, this.#liveBytes));
  }

  /** The disk was full a moment ago: it may be this file that fills it. */
  async #makeRoom(): Promise<void> {
    await this.#tidy().catch((error: unknown) => {
      this.#logger.debug({ err: error }, 'the journal cannot be tidied up');
    });
  }

  async #tidy(): Promise<void> {
    const moved: Slot[] = [];
    const offsets = await this.#file.rewrite(this.#liveFrames(moved));
    for (const [index, slot] of moved.entries()) slot.offset = offsets[index] ?? 0;
  }

  /** The frames of all live entries, whose slots go to `read`. One that the disk does not give back any more is given up. */
  async *#liveFrames(read: Slot[]): AsyncGenerator<Buffer> {
    for (const [key, slot] of [...this.#live]) {
      const frame = await this.#file.read(slot.offset, slot.size);
      if (decodeFrame(frame)) {
        read.push(slot);
        yield frame;
      } else {
        this.#remove(key);
        this.#logger.error(
          { [ATTRIBUTE.sessionKey]: key },
          'an entry of the journal cannot be read any more',
        );
      }
    }
  }

  #put(key: SessionKey, slot: Slot): void {
    this.#remove(key);
    this.#live.set(key, slot);
    this.#liveBytes += slot.size;
    this.#counts[slot.kind]++;
  }

  #remove(key: SessionKey): void {
    const slot = this.#live.get(key);
    if (!slot) return;
    this.#live.delete(key);
    this.#liveBytes -= slot.size;
    this.#counts[slot.kind]--;
  }

  async #recover(frames: readonly FoundFrame[], isDamaged: boolean): Promise<JournaledTombstone[]> {
    const tombstones = new Map<SessionKey, JournaledTombstone>();
    let isUnreadable = false;
    for (const frame of frames) {
      this.#number = Math.max(this.#number, frame.number);
      try {
        const entry = decodeEntry(frame.kind, frame.payload);
        const { key } = entry;
        tombstones.delete(key);
        this.#remove(key);
        if (entry.kind === 'settled') continue;
        if (entry.kind === 'tombstone') tombstones.set(key, entry);
        const { number, size, offset } = frame;
        this.#put(key, { kind: entry.kind, number, size, offset });
      } catch (error) {
        isUnreadable = true;
        this.#logger.error({ err: error }, 'an entry of the journal is given up');
      }
    }
    if (isDamaged || isUnreadable) await this.#mend();
    return [...tombstones.values()];
  }

  /** Goes on with the good entries in a new file, and keeps the damaged one for whoever wants to look into it. */
  async #mend(): Promise<void> {
    try {
      const aside = await this.#file.keepAside();
      await this.#tidy();
      this.#logger.error(
        { aside, entries: this.#live.size },
        'the journal was damaged: its good entries are used, and the damaged file is kept aside',
      );
    } catch (error) {
      this.#failures++;
      this.#logger.error(
        { err: error, entries: this.#live.size },
        'the journal is damaged and cannot be written anew: its good entries are used',
      );
    }
  }
}
