import type { Logger } from 'pino';
import type { BackendAnnouncement, SnapshotStore } from '../store/snapshot-store.ts';

const EVERY_MS = 3_000;
/** Three announcements may get lost before a gateway forgets the backend. */
const TTL_MS = 10_000;

/** Keeps telling the gateways, through the store, that this backend is there. */
export class Announcer {
  readonly #store: SnapshotStore;
  readonly #describe: () => BackendAnnouncement;
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | undefined;
  #failing = false;
  #stopped = false;

  constructor(store: SnapshotStore, describe: () => BackendAnnouncement, logger: Logger) {
    this.#store = store;
    this.#describe = describe;
    this.#logger = logger;
  }

  /** Announces now and then every 3 s. Never rejects. */
  async start(): Promise<void> {
    try {
      await this.#store.announce(this.#describe(), TTL_MS);
      if (this.#failing) this.#logger.info('the backend is announced again');
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) this.#logger.warn({ err: error }, 'the backend cannot be announced; trying on');
      this.#failing = true;
    }
    if (!this.#stopped) this.#timer = setTimeout(() => void this.start(), EVERY_MS).unref();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }
}
