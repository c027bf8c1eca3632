import { setTimeout as pause } from 'node:timers/promises';
import { Cluster, type Redis } from 'ioredis';
import type { Logger } from 'pino';
import { asStickshiftError, StickshiftError } from '../../protocol/errors.ts';
import { newClient, reconnectDelay } from './new-client.ts';
import { asStoreError } from './redis-errors.ts';
import type { RedisTarget } from './redis-url.ts';
import { Reply } from './replies.ts';
import { defineScripts, runKnownScript, runScript, type ScriptName } from './scripts.ts';

export interface RedisConnectionOptions {
  readonly target: RedisTarget;
  readonly commandTimeout: number;
  readonly introduction: Introduction;
  readonly logger: Logger;
}

/** Finds out what is at the other end. Runs on every new connection before any operation does. */
export interface Introduction {
  /**
   * @param identities - what an introduction on this very connection returned before
   * @throws whatever forbids to use the connection; it is tried again until it succeeds
   */
  introduce(client: Redis | Cluster, identities?: readonly string[]): Promise<readonly string[]>;
}

/** Failures of an introduction that an operator has to mend; the others count as a store that is not there. */
const LASTING: readonly string[] = ['STORE_REFUSED', 'STORE_INVALID', 'STORE_FOREIGN'];

/** A connection, or the connections of a cluster, that operations may use as soon as the introduction is made. */
export class RedisConnection {
  readonly #client: Redis | Cluster;
  readonly #introduction: Introduction;
  readonly #label: string;
  readonly #log: Logger;
  readonly #timeoutMs: number;
  readonly #connectListeners: (() => void)[] = [];
  /** Called after the next attempt to connect, whatever came of it. */
  #attempted: (() => void)[] = [];
  /** Counts connects and closes: what belongs to an earlier connection is outdated. */
  #life = 0;
  #identities: readonly string[] | undefined;
  #lastError: Error | undefined;
  #outage = false;
  #closed = false;

  constructor({ target, commandTimeout, introduction, logger }: RedisConnectionOptions) {
    this.#label = target.label;
    this.#log = logger;
    this.#timeoutMs = commandTimeout;
    this.#introduction = introduction;
    this.#client = newClient(target, commandTimeout);
    defineScripts(this.#client);
    this.#client.on('ready', () => void this.#introduce());
    this.#client.on('close', () => this.#out());
    // Without a listener, an 'error' event would end the process.
    this.#client.on('error', (error: Error) => this.#failed(error));
    this.#client.on('sentinelError', (error: Error) => this.#failed(error));
    this.#client.on('node error', (error: Error) => this.#failed(error));
  }

  get ready(): boolean {
    return this.#client.status === 'ready' && this.#identities !== undefined && !this.#closed;
  }

  /** Of whom this connection leads to, as the introduction found them; `undefined` while it is not made. */
  get identities(): readonly string[] | undefined {
    return this.ready ? this.#identities : undefined;
  }

  /** The cluster's client; `undefined` when there is no cluster. */
  get cluster(): Cluster | undefined {
    return this.#client instanceof Cluster ? this.#client : undefined;
  }

  /** Calls `listener` now if there is a connection, and after every later connect. */
  onConnect(listener: () => void): void {
    this.#connectListeners.push(listener);
    if (this.ready) listener();
  }

  /** Resolves when connected, when an attempt has failed, or after `boundMs`. */
  firstAttempt(boundMs: number): Promise<void> {
    if (this.ready || this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, boundMs);
      this.#attempted.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  async run(script: ScriptName, keys: readonly string[], args: readonly (string | Buffer)[]): Promise<Reply> {
    return new Reply(script, await this.ask(script, (client) => runScript(client, script, keys, args)));
  }

  /** Resolves with `undefined` when the server does not know the script: then nothing has happened, and nothing will. */
  async runKnown(
    script: ScriptName,
    keys: readonly string[],
    args: readonly (string | Buffer)[],
  ): Promise<Reply | undefined> {
    const reply = await this.ask(script, (client) => runKnownScript(client, script, keys, args));
    return reply === undefined ? undefined : new Reply(script, reply);
  }

  ask<T>(operation: string, send: (client: Redis | Cluster) => Promise<T>): Promise<T> {
    return this.ready ? this.#bounded(operation, send) : Promise.reject(this.#unavailable(operation));
  }

  /** @throws StickshiftError that says why nothing can be sent now */
  assertReady(operation: string): void {
    if (!this.ready) throw this.#unavailable(operation);
  }

  /**
   * Introduces this process once more on a connection that stands.
   *
   * @throws StickshiftError; after `STORE_FOREIGN` no operation goes through until the store is ours again
   */
  async reintroduce(): Promise<void> {
    if (!this.ready) return;
    const life = this.#life;
    // A cluster gets and loses nodes without this connection ending.
    const known = this.cluster ? undefined : this.#identities;
    try {
      const identities = await this.#bounded('introduce', (client) =>
        this.#introduction.introduce(client, known),
      );
      if (life === this.#life) this.#identities = identities;
    } catch (error) {
      const failure = asStickshiftError(error);
      if (life === this.#life && failure.code === 'STORE_FOREIGN') {
        // Said before the introduction begins anew: an operation that comes meanwhile is to be told why it is refused.
        this.#failed(failure);
        void this.#introduce();
      }
      throw error;
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    const wasReady = this.ready;
    this.#closed = true;
    if (wasReady) {
      // Lets commands under way finish; a server that does not answer is left without a goodbye.
      await this.#client
        .quit()
        .catch((error: Error) => this.#log.debug({ reason: error.message }, 'redis: no goodbye'));
    }
    this.#client.disconnect();
  }

  async #introduce(): Promise<void> {
    const life = ++this.#life;
    this.#identities = undefined;
    const current = () => life === this.#life && !this.#closed;
    for (let attempt = 1; current(); attempt++) {
      try {
        const identities = await this.#bounded('introduce', (client) => this.#introduction.introduce(client));
        if (!current()) return;
        this.#identities = identities;
        this.#connected();
        return;
      } catch (error) {
        if (!current()) return;
        this.#failed(asStickshiftError(error));
      }
      await pause(reconnectDelay(attempt), undefined, { ref: false });
    }
  }

  /** Sends under a deadline of its own: ioredis counts its timeout anew after each wait for a pipeline or redirection. */
  #bounded<T>(operation: string, send: (client: Redis | Cluster) => Promise<T>): Promise<T> {
    // No Promise.race: this is on the way of every commit.
    return new Promise((resolve, reject) => {
      const late = () =>
        reject(new StickshiftError('STORE_TIMEOUT', `${operation}: no answer in time (${this.#label})`));
      const timer = setTimeout(late, this.#timeoutMs);
      this.#gather();
      send(this.#client).then(
        (result) => {
          clearTimeout(timer);
          resolve(result);
        },
        (error: unknown) => {
          clearTimeout(timer);
          reject(asStoreError(error, operation, this.#label));
        },
      );
    });
  }

  /**
   * Lets what is sent in this turn leave in one system call. The pipelines of ioredis would do that as well, but each waits
   * until the one before is answered to the last command, and none of its own commands is answered before the others.
   */
  #gather(): void {
    // A cluster has no stream of its own.
    if (this.#client instanceof Cluster) return;
    const { stream } = this.#client;
    if (stream.writableCorked > 0) return;
    stream.cork();
    process.nextTick(() => stream.uncork());
  }

  /** Why nothing can be sent now. */
  #unavailable(operation: string): StickshiftError {
    if (this.#closed) return new StickshiftError('STORE_UNREACHABLE', `${operation}: the store is closed`);
    const last = this.#lastError;
    if (last instanceof StickshiftError && LASTING.includes(last.code)) {
      return new StickshiftError(last.code, `${operation}: ${last.message}`);
    }
    // Redis is there, but does not let us in: a wrong password is not cured by waiting.
    const code = last?.name === 'ReplyError' ? 'STORE_REFUSED' : 'STORE_UNREACHABLE';
    const why = last === undefined ? 'not connected' : `not connected: ${last.message}`;
    return new StickshiftError(code, `${operation}: ${why} (${this.#label})`);
  }

  #connected(): void {
    this.#lastError = undefined;
    this.#outage = false;
    this.#log.info({ store: this.#label }, 'store connected');
    this.#attemptMade();
    for (const listener of this.#connectListeners) listener();
  }

  #failed(error: Error): void {
    const foreign = error instanceof StickshiftError && error.code === 'STORE_FOREIGN';
    const known = this.#lastError instanceof StickshiftError && this.#lastError.code === 'STORE_FOREIGN';
    this.#lastError = error;
    if (foreign) {
      if (!known) this.#log.error({ err: error }, 'the store cannot be used');
      this.#attemptMade();
    } else if (this.ready) {
      // One node of a cluster may fail while the others serve.
      this.#log.debug({ store: this.#label, reason: error.message }, 'store connection failed');
    } else {
      this.#report();
    }
  }

  #out(): void {
    this.#life++;
    this.#identities = undefined;
    this.#report();
  }

  #report(): void {
    this.#attemptMade();
    if (this.#closed || this.#outage) return;
    // Once per outage, not once per attempt.
    this.#outage = true;
    this.#log.warn(
      { store: this.#label, reason: this.#lastError?.message },
      'store not connected; trying again',
    );
  }

  #attemptMade(): void {
    for (const listener of this.#attempted.splice(0)) listener();
  }
}
