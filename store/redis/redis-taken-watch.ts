import { Cluster, type Redis } from 'ioredis';
import type { TakenWatch } from '../snapshot-store.ts';
import { forSubscription, newClient } from './new-client.ts';
import type { RedisTarget } from './redis-url.ts';
import { TakenSubscription, type TakenSubscriptionOptions } from './taken-subscription.ts';

/** Listens to one server. */
export function watchServer(
  target: RedisTarget,
  commandTimeout: number,
  options: TakenSubscriptionOptions,
): TakenWatch {
  const client = newClient(target, commandTimeout, forSubscription);
  if (client instanceof Cluster) throw new TypeError('a cluster is listened to node by node');
  return new TakenSubscription(client, 0, options);
}

/**
 * Listens to every primary of a cluster. One would be told of everything, too, but by the others, so that its answers
 * would show nothing about what they are still sending.
 */
export class ClusterTakenWatch implements TakenWatch {
  readonly #cluster: Cluster;
  readonly #subscribe: (node: Redis) => TakenSubscription;
  readonly #nodes = new Map<string, TakenSubscription>();
  readonly #onRefresh = () => this.#follow();

  constructor(cluster: Cluster, options: TakenSubscriptionOptions) {
    this.#cluster = cluster;
    this.#subscribe = (node) =>
      new TakenSubscription(node.duplicate(forSubscription), this.heardUntil, options);
    cluster.on('refresh', this.#onRefresh);
    this.#follow();
  }

  get heardUntil(): number {
    return this.#nodes.size === 0 ? 0 : Math.min(...[...this.#nodes.values()].map((each) => each.heardUntil));
  }

  stop(): void {
    this.#cluster.off('refresh', this.#onRefresh);
    for (const subscription of this.#nodes.values()) subscription.stop();
    this.#nodes.clear();
  }

  #follow(): void {
    const primaries = new Map(
      this.#cluster.nodes('master').map((node) => [`${node.options.host}:${node.options.port}`, node]),
    );
    // New ones first: without them, nothing is known of what they publish.
    for (const [name, node] of primaries) {
      if (!this.#nodes.has(name)) this.#nodes.set(name, this.#subscribe(node));
    }
    for (const [name, subscription] of this.#nodes) {
      if (primaries.has(name)) continue;
      subscription.stop();
      this.#nodes.delete(name);
    }
  }
}
