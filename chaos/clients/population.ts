import { setTimeout as sleep } from 'node:timers/promises';
import type { HistoryRecorder } from '../history/history.ts';
import type { Installation } from '../installation/installation.ts';
import { GATEWAYS } from '../installation/layout.ts';
import type { Random } from '../random.ts';
import { Client, type Habits, LIVELY } from './client.ts';
import { type ConnectionOptions, Connections } from './connection.ts';
import type { ClientSession, SessionContext } from './session.ts';
import { Thief } from './thief.ts';

/** Sessions left alone that are looked at again; of more than these, the oldest are let go. */
const MOST_LEFT = 500;
const FINAL_READERS = 8;
const FINAL_ATTEMPTS = 100;
const FINAL_PAUSE_MS = 200;

export interface PopulationOptions {
  readonly clients: number;
  /** How long they wait for an answer, milliseconds. Default: as {@link Connections}. */
  readonly patienceMs?: number;
  /** Default: lively. */
  readonly habits?: Habits;
  readonly installation: Installation;
  readonly history: HistoryRecorder;
  readonly random: Random;
}

/** Everybody who uses the installation. */
export class Population {
  readonly #clients: readonly Client[];
  readonly #thief: Thief;
  readonly #connections: ConnectionOptions;
  readonly #left: ClientSession[] = [];
  readonly #stop = new AbortController();
  #running: Promise<unknown> = Promise.resolve();
  #sessions = 0;

  constructor(options: PopulationOptions) {
    const { clients, patienceMs, habits = LIVELY, installation, history, random } = options;
    this.#connections = {
      ports: installation.ports.gateway,
      ...(patienceMs !== undefined && { patienceMs }),
    };
    const keys = { express: installation.sessionKeys('express'), php: installation.sessionKeys('php') };
    const keyOf: SessionContext['keyOf'] = (pool, id) => keys[pool](id);
    this.#thief = new Thief(history, keyOf, random.fork('thief'), this.#connections);
    const context: SessionContext = { history, keyOf, onRetired: (retired) => this.#thief.give(retired) };
    this.#clients = Array.from({ length: clients }, (_, index) => {
      return new Client({
        pool: Client.poolOf(index),
        random: random.fork(`client ${index}`),
        connections: this.#connections,
        habits,
        context,
        nextSession: () => ++this.#sessions,
        onLeft: (session) => {
          this.#left.push(session);
          if (this.#left.length > MOST_LEFT) this.#left.shift();
        },
      });
    });
  }

  start(): void {
    const { signal } = this.#stop;
    this.#running = Promise.all([...this.#clients, this.#thief].map((one) => one.run(signal)));
  }

  /** How many clients have had no good answer to anything they asked since then, milliseconds since the run began. */
  unservedSince(time: number): number {
    return this.#clients.filter(({ lastGoodAt }) => lastGoodAt < time).length;
  }

  /** Reads every session that was left alone through both gateways, and is done with them. */
  async readLeftSessions(): Promise<void> {
    await this.#readFinally(this.#left.splice(0));
  }

  /** Stops everybody; then every session is read through both gateways, and every dead ID is tried once more. */
  async finish(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    const last = this.#clients.map(({ session }) => session).filter(({ state }) => state === 'alive');
    await this.#readFinally([...this.#left.splice(0), ...last]);
    await this.#thief.tryAll();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #readFinally(sessions: ClientSession[]): Promise<void> {
    const reader = async () => {
      const connections = new Connections({ ports: this.#connections.ports });
      for (let session = sessions.pop(); session !== undefined; session = sessions.pop()) {
        for (const gateway of GATEWAYS) {
          for (let attempt = 0; attempt < FINAL_ATTEMPTS; attempt++) {
            const { outcome } = await session.perform('final', gateway, connections);
            if (outcome === 'ok') break;
            await sleep(FINAL_PAUSE_MS);
          }
        }
      }
      connections.close();
    };
    await Promise.all(Array.from({ length: FINAL_READERS }, reader));
  }
}
