import type { Cluster, Redis } from 'ioredis';
import type { Logger } from 'pino';
import { asStickshiftError } from '../../protocol/errors.ts';
import type { Introduction } from './connection.ts';
import { primariesOf } from './server-info.ts';

/**
 * A cluster's connection outlives its nodes: one may be restarted empty, or give way to a replica, and the next command
 * reaches it before anybody has asked who it is. From the moment when a primary comes or goes until all primaries have
 * been introduced again, the store is in doubt.
 */
export class ClusterDoubt implements Introduction {
  readonly #introduction: Introduction;
  readonly #log: Logger;
  #known: ReadonlySet<Redis> = new Set();
  /** Primaries that came or went so far; of these, before the slots were last read; and before the last introduction. */
  #changes = 0;
  #located = 0;
  #introduced = 0;
  #asking = false;

  constructor(introduction: Introduction, logger: Logger) {
    this.#introduction = introduction;
    this.#log = logger;
  }

  get doubtful(): boolean {
    return this.#changes !== this.#introduced;
  }

  /** @param reintroduce - introduces this process to all primaries again; rejects when one does not answer */
  watch(cluster: Cluster, reintroduce: () => Promise<void>): void {
    const onNode = (node: Redis) => {
      if (!node.options.readOnly) this.#changes++;
    };
    cluster.on('+node', onNode);
    cluster.on('-node', onNode);
    cluster.on('refresh', () => {
      // A replica that is promoted is no new node.
      if (primariesOf(cluster).some((node) => !this.#known.has(node))) this.#changes++;
      this.#located = this.#changes;
      void this.#ask(reintroduce);
    });
  }

  async introduce(client: Redis | Cluster, identities?: readonly string[]): Promise<readonly string[]> {
    // What went since the slots were read has left a gap that somebody unknown may fill.
    const located = this.#located;
    const primaries = primariesOf(client);
    const found = await this.#introduction.introduce(client, identities);
    this.#known = new Set(primaries);
    this.#introduced = located;
    return found;
  }

  async #ask(reintroduce: () => Promise<void>): Promise<void> {
    if (!this.doubtful || this.#asking) return;
    this.#asking = true;
    try {
      await reintroduce();
    } catch (error) {
      const { code, message } = asStickshiftError(error);
      this.#log.debug({ code, reason: message }, 'a primary of the cluster could not be asked; trying again');
    } finally {
      this.#asking = false;
    }
  }
}
