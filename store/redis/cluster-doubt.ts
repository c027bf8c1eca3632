import type { Cluster, Redis } from 'ioredis';
import type { Logger } from 'pino';
import { asStickshiftError } from '../../protocol/errors.ts';

/**
 * A cluster's connection outlives its nodes: one may be restarted empty, or give way to a replica, and the next command
 * reaches it before anybody has asked who it is. From the moment when a primary comes or goes until all primaries have
 * been looked at again, the store is in doubt.
 */
export class ClusterDoubt {
  readonly #cluster: Cluster;
  readonly #vouch: () => Promise<void>;
  readonly #log: Logger;
  #known = new Set<Redis>();
  #doubts = 0;
  #settled = 0;
  #vouching = false;

  /** @param vouch - looks at all primaries; rejects when one does not answer */
  constructor(cluster: Cluster, vouch: () => Promise<void>, logger: Logger) {
    this.#cluster = cluster;
    this.#vouch = vouch;
    this.#log = logger;
    const onNode = (node: Redis) => {
      if (!node.options.readOnly) this.#doubts++;
    };
    cluster.on('+node', onNode);
    cluster.on('-node', onNode);
    // A replica that is promoted is no new node; and only after this is it clear who has taken the place of a lost one.
    cluster.on('refresh', () => void this.#refreshed());
  }

  get doubtful(): boolean {
    return this.#doubts !== this.#settled;
  }

  async #refreshed(): Promise<void> {
    const primaries = this.#cluster.nodes('master');
    if (primaries.some((node) => !this.#known.has(node))) this.#doubts++;
    if (!this.doubtful || this.#vouching) return;
    const doubts = this.#doubts;
    this.#vouching = true;
    try {
      await this.#vouch();
      this.#known = new Set(primaries);
      this.#settled = doubts;
    } catch (error) {
      const { code, message } = asStickshiftError(error);
      this.#log.debug({ code, reason: message }, 'a primary of the cluster could not be asked; trying again');
    } finally {
      this.#vouching = false;
    }
  }
}
