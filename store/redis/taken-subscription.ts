import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { SessionKey } from '../../protocol/session-key.ts';
import type { TakenWatcher } from '../snapshot-store.ts';
import { isAmong, runIdOf } from './lineage.ts';

const PING_EVERY_MS = 500;

/** Where scripts tell that a session was taken from its owner; see `scripts/record.lua`. */
const channelOf = (owner: string) => `stickshift:taken:${owner}`;

export interface TakenSubscriptionOptions {
  readonly owner: string;
  readonly watcher: TakenWatcher;
  /** Where operations go now, see {@link isAmong}; `undefined`: nowhere. */
  readonly identities: () => readonly string[] | undefined;
  readonly logger: Logger;
}

/**
 * Listens to one server. A server answers a PING after it has sent everything that was published before, so each answer
 * shows that nothing up to its PING is missing; if it is the server that operations go to. One that gave way to its replica may
 * answer on for ever, and know nothing.
 */
export class TakenSubscription {
  readonly #client: Redis;
  readonly #options: TakenSubscriptionOptions;
  #runId: string | undefined;
  #heardUntil: number;
  #refusal: string | undefined;
  #batch: SessionKey[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** Counts connects and closes: what belongs to an earlier connection is outdated. */
  #life = 0;

  /**
   * @param client - of its own, connecting or connected, that neither queues nor subscribes again by itself
   * @param heardUntil - what holds until this subscription stands
   */
  constructor(client: Redis, heardUntil: number, options: TakenSubscriptionOptions) {
    this.#client = client;
    this.#options = options;
    this.#heardUntil = heardUntil;
    client.on('ready', () => void this.#subscribe(++this.#life));
    client.on('close', () => this.#life++);
    client.on('error', (error: Error) => this.#failed(error));
    client.on('sentinelError', (error: Error) => this.#failed(error));
    client.on('message', (_: string, key: string) => this.#heard(key as SessionKey));
  }

  get heardUntil(): number {
    return this.#heardUntil;
  }

  stop(): void {
    this.#life++;
    clearTimeout(this.#timer);
    this.#client.disconnect();
  }

  async #subscribe(life: number): Promise<void> {
    const { owner, watcher } = this.#options;
    try {
      this.#runId = await runIdOf(this.#client);
      await this.#client.subscribe(channelOf(owner));
    } catch (error) {
      this.#failed(error);
      // The operator may still allow the channel.
      this.#later(life, () => this.#subscribe(life));
      return;
    }
    if (life !== this.#life) return;
    this.#refusal = undefined;
    watcher.missed();
    await this.#ping(life);
  }

  async #ping(life: number): Promise<void> {
    const now = performance.now();
    try {
      await this.#client.ping();
      if (life !== this.#life) return;
      this.#tell();
      const identities = this.#options.identities();
      if (identities && isAmong(identities, this.#runId)) this.#heardUntil = now;
      // Connecting anew finds the server that operations have found.
      else if (identities) this.#client.disconnect(true);
    } catch (error) {
      this.#failed(error);
    }
    this.#later(life, () => this.#ping(life));
  }

  #later(life: number, work: () => Promise<void>): void {
    if (life !== this.#life) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void work(), PING_EVERY_MS).unref();
  }

  #heard(key: SessionKey): void {
    if (this.#batch.push(key) === 1) setImmediate(() => this.#tell());
  }

  #tell(): void {
    const keys = this.#batch;
    this.#batch = [];
    if (keys.length > 0) this.#options.watcher.taken(keys);
  }

  /** An outage is logged where operations meet it; here it shows as `heardUntil` that stands still. A refusal is said once. */
  #failed(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    const refused = error instanceof Error && error.name === 'ReplyError' && reason !== this.#refusal;
    if (refused) this.#refusal = reason;
    this.#options.logger[refused ? 'warn' : 'debug'](
      { reason },
      'the store cannot tell which sessions were taken over',
    );
  }
}
