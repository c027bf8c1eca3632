import type { Logger } from 'pino';
import { StickshiftError } from '../protocol/errors.ts';
import type { BackendAnnouncement, SnapshotStore } from '../store/snapshot-store.ts';

const EVERY_MS = 3_000;
/** Until the store has answered for the first time: the agent waits for it. */
const FIRST_EVERY_MS = 500;
/** Three announcements may get lost before a gateway forgets the backend. */
const TTL_MS = 10_000;

/** Keeps telling the gateways, through the store, that this backend is there, and learns when it is not the only one. */
export class Announcer {
  readonly #store: SnapshotStore;
  readonly #describe: () => BackendAnnouncement;
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | undefined;
  #failing = false;
  #stopped = false;
  #barred: StickshiftError | undefined = new StickshiftError(
    'STORE_UNREACHABLE',
    'not known yet whether another agent claims to be this backend',
  );

  constructor(store: SnapshotStore, describe: () => BackendAnnouncement, logger: Logger) {
    this.#store = store;
    this.#describe = describe;
    this.#logger = logger;
  }

  /**
   * Why this agent must not act as its backend; `undefined` when it may. `BACKEND_CLAIMED`: another living agent does;
   * `STORE_UNREACHABLE`: the store has not been asked yet.
   */
  get barred(): StickshiftError | undefined {
    return this.#barred;
  }

  /** Announces now and then every 3 s. Never rejects. */
  async start(): Promise<void> {
    try {
      const result = await this.#store.announce(this.#describe(), TTL_MS);
      if (this.#failing) this.#logger.info('the backend is announced again');
      this.#failing = false;
      this.#learn(result.outcome === 'claimed' ? result.by : undefined);
    } catch (error) {
      if (!this.#failing) this.#logger.warn({ err: error }, 'the backend cannot be announced; trying on');
      this.#failing = true;
    }
    if (this.#stopped) return;
    const isFirst = this.#barred?.code === 'STORE_UNREACHABLE';
    this.#timer = setTimeout(() => void this.start(), isFirst ? FIRST_EVERY_MS : EVERY_MS).unref();
  }

  /** Announces nothing any more. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** Takes the announcement back, so that no gateway waits for it to run out. Never rejects. */
  async withdraw(): Promise<void> {
    try {
      await this.#store.withdraw(this.#describe());
    } catch (error) {
      this.#logger.debug({ err: error }, 'the announcement could not be withdrawn; it runs out by itself');
    }
  }

  #learn(by: BackendAnnouncement | undefined): void {
    const wasClaimed = this.#barred?.code === 'BACKEND_CLAIMED';
    if (!by) {
      if (wasClaimed) this.#logger.info('no other agent claims to be this backend any more');
      this.#barred = undefined;
      return;
    }
    this.#barred = new StickshiftError(
      'BACKEND_CLAIMED',
      `another agent, at ${by.agent}, announces backend ${by.id}: stop one of them, or give it another ID`,
    );
    if (!wasClaimed) {
      this.#logger.error(
        { err: this.#barred, agent: by.agent, url: by.url },
        'another agent claims to be this backend',
      );
    }
  }
}
