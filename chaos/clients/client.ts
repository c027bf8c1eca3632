import { setTimeout as sleep } from 'node:timers/promises';
import { GATEWAYS, type GatewayName, POOLS, type Pool } from '../installation/layout.ts';
import type { Random } from '../random.ts';
import { type ConnectionOptions, Connections } from './connection.ts';
import { ClientSession, type SessionContext } from './session.ts';

/** Average pause between two requests of one client. */
const THINK_MS = 110;
/** After a gateway has given no answer, it is not asked for so long: as a load balancer in front of the gateways would have it. */
const AVOID_MS = 4_000;
/** A session that has grown so long is logged out: every answer carries all of it. */
const LONGEST_SESSION = 60;

/** What a client does with a session, and how often. */
export type Habits = readonly (readonly ['append' | 'read' | 'login' | 'logout' | 'leave', number])[];

export const LIVELY: Habits = [
  ['append', 52],
  ['read', 34],
  ['login', 7],
  ['logout', 4],
  ['leave', 3],
];

/** One session, under one ID, for as long as it lasts. */
export const STEADY: Habits = [
  ['append', 60],
  ['read', 40],
];

export interface ClientOptions {
  readonly pool: Pool;
  readonly random: Random;
  readonly connections: ConnectionOptions;
  readonly habits: Habits;
  readonly context: SessionContext;
  readonly nextSession: () => number;
  /** Takes a session that its owner leaves alone without logging out. */
  readonly onLeft: (session: ClientSession) => void;
}

/** Somebody with one session at a time and one request at a time. */
export class Client {
  readonly #options: ClientOptions;
  readonly #connections: Connections;
  #session: ClientSession;
  #lastGoodAt = Number.NEGATIVE_INFINITY;
  readonly #avoidedUntil = new Map<GatewayName, number>();

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#connections = new Connections(options.connections);
    this.#session = new ClientSession(options.pool, options.nextSession(), options.context);
  }

  /** The pools take turns, so that each has its share of any number of clients. */
  static poolOf(index: number): Pool {
    return POOLS[index % POOLS.length] ?? 'express';
  }

  /** When its last acknowledged operation was invoked, milliseconds since the run began. */
  get lastGoodAt(): number {
    return this.#lastGoodAt;
  }

  /** The session that it is in the middle of. */
  get session(): ClientSession {
    return this.#session;
  }

  /** Resolves when `signal` says so and the last operation has ended. */
  async run(signal: AbortSignal): Promise<void> {
    const { random } = this.#options;
    while (!signal.aborted) {
      await this.#step();
      // Exponential, as people who do not wait for each other.
      const pause = Math.min(-Math.log(1 - random.next()) * THINK_MS, 10 * THINK_MS);
      await sleep(pause, undefined, { signal }).catch(() => undefined);
    }
    this.#connections.close();
  }

  async #step(): Promise<void> {
    const session = this.#session;
    const kind = this.#choose();
    if (kind === 'leave') {
      this.#options.onLeft(session);
      this.#begin(false);
      return;
    }
    const gateway = this.#chooseGateway();
    const wasDoubtful = session.state === 'doubtful';
    const wasLoggedOut = session.state === 'over';
    const operation = await session.perform(kind, gateway, this.#connections);
    if (operation.outcome === 'ok') this.#lastGoodAt = Math.max(this.#lastGoodAt, operation.invokedAt);
    if (operation.outcome === 'indeterminate') this.#avoidedUntil.set(gateway, performance.now() + AVOID_MS);
    if (session.state === 'new') {
      // Whatever has begun there: its ID may be lost, or in use already.
      this.#begin(false);
    } else if (operation.outcome === 'ok' && kind !== 'logout' && (wasDoubtful || session.state === 'over')) {
      this.#begin(wasLoggedOut);
    }
  }

  #choose() {
    const { random, habits } = this.#options;
    switch (this.#session.state) {
      case 'new':
        return 'append';
      // After a logout it looks again: nothing may be there. In doubt it looks what has become of the session.
      case 'over':
      case 'doubtful':
        return 'read';
      case 'alive':
        if (habits === LIVELY && this.#session.length > LONGEST_SESSION) return 'logout';
        return random.weighted(habits) ?? 'read';
    }
  }

  #chooseGateway(): GatewayName {
    const now = performance.now();
    const answering = GATEWAYS.filter((gateway) => (this.#avoidedUntil.get(gateway) ?? 0) < now);
    return this.#options.random.pick(answering) ?? this.#options.random.pick(GATEWAYS);
  }

  /** @param withOldCookies - as a browser does after a logout, whose cookies stay */
  #begin(withOldCookies: boolean): void {
    const { pool, context, nextSession } = this.#options;
    const jar = withOldCookies ? this.#session.jar.copy() : undefined;
    this.#session = new ClientSession(pool, nextSession(), context, jar);
  }
}
