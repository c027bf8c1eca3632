import { setTimeout as sleep } from 'node:timers/promises';
import type { HistoryRecorder } from '../history/history.ts';
import { GATEWAYS, type GatewayName } from '../installation/layout.ts';
import type { Random } from '../random.ts';
import { type ConnectionOptions, Connections } from './connection.ts';
import type { RetiredSession, SessionContext } from './session.ts';

/** Retired IDs that are remembered; older ones are let go at random. */
const MOST_RETIRED = 400;
const PAUSE_MS = 150;

/** Presents IDs that are dead, with and without the affinity cookie that once belonged to them. */
export class Thief {
  readonly #history: HistoryRecorder;
  readonly #keyOf: SessionContext['keyOf'];
  readonly #random: Random;
  readonly #connections: Connections;
  readonly #retired: RetiredSession[] = [];
  #forged = 0;

  constructor(
    history: HistoryRecorder,
    keyOf: SessionContext['keyOf'],
    random: Random,
    connections: ConnectionOptions,
  ) {
    this.#history = history;
    this.#keyOf = keyOf;
    this.#random = random;
    this.#connections = new Connections(connections);
  }

  give(retired: RetiredSession): void {
    if (this.#retired.length < MOST_RETIRED) this.#retired.push(retired);
    else this.#retired[this.#random.whole(0, MOST_RETIRED - 1)] = retired;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      // Half of the time one of the last: what is still under way somewhere may bring back what has just ended.
      const recent = this.#retired.slice(-5);
      const victim = this.#random.pick(this.#random.chance(0.5) ? recent : this.#retired);
      if (victim) await this.#attack(victim, this.#random.pick(GATEWAYS));
      await sleep(PAUSE_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Tries every ID once more at each gateway. */
  async tryAll(): Promise<void> {
    for (const victim of this.#retired) {
      for (const gateway of GATEWAYS) await this.#attack(victim, gateway);
    }
    this.#connections.close();
  }

  async #attack({ pool, session, jar }: RetiredSession, gateway: GatewayName): Promise<void> {
    const stolen = this.#random.chance(0.5) ? jar.copy() : jar.withoutAffinity();
    const id = stolen.sessionId;
    const writes = this.#random.chance(0.2);
    if (writes) this.#forged += 1;
    const invokedAt = this.#history.now();
    const exchange = writes
      ? await this.#connections.send(gateway, pool, 'POST', `/append?token=forged.${this.#forged}`, stolen)
      : await this.#connections.send(gateway, pool, 'GET', '/read', stolen);
    this.#history.addOperation({
      pool,
      session,
      kind: 'attack',
      gateway,
      key: id === undefined ? undefined : this.#keyOf(pool, id),
      invokedAt,
      completedAt: this.#history.now(),
      ...exchange,
    });
  }
}
