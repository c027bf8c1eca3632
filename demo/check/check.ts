import { setTimeout as sleep } from 'node:timers/promises';
import { StickshiftError } from '../../protocol/errors.ts';
import type { BackendState, DemoDeeds } from '../control/control-server.ts';
import { type Call, MoveWatch } from './move-watch.ts';
import { auditAll, type CheckReport, countItems, newTally, spread, tenths } from './report.ts';
import { Shopper } from './shopper.ts';

const CARTS = 60;
const FIRST_ITEMS = 3;
/** Every so many-th client logs in, and so gets a new session ID. */
const LOGIN_EVERY = 4;
const NEWCOMERS = 20;
const SHORTEST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 700;
const LOOK_SHARE = 0.25;
/** How long traffic runs between two events, so that each happens to sessions in full use. */
const BETWEEN_EVENTS_MS = 1_500;
const MOVED_WITHIN_MS = 15_000;
const STATE_WITHIN_MS = 15_000;
const POLL_MS = 25;
const WHOLE_CHECK_MS = 58_000;

export interface CheckOptions {
  /** The gateway, as clients reach it. */
  readonly shopUrl: string;
  readonly deeds: DemoDeeds;
  /** Told once per step, for people who watch. */
  readonly progress: (line: string) => void;
}

/**
 * Fills carts and keeps using them, while one server and its agent are killed, another is drained, and the first
 * comes back; then holds every cart against its client's own book.
 *
 * @throws StickshiftError when the check itself cannot be carried out, or takes longer than a minute
 */
export async function runCheck(options: CheckOptions): Promise<CheckReport> {
  const check = new Check(options);
  const outOfTime = new AbortController();
  try {
    return await Promise.race([
      check.run(),
      sleep(WHOLE_CHECK_MS, undefined, { signal: outOfTime.signal }).then(() => {
        throw new StickshiftError('INTERNAL', `the check took longer than ${WHOLE_CHECK_MS / 1000} seconds`);
      }),
    ]);
  } finally {
    outOfTime.abort();
    check.end();
  }
}

class Check {
  readonly #options: CheckOptions;
  readonly #tally = newTally();
  readonly #shoppers: Shopper[] = [];
  #watch: MoveWatch | undefined;
  #busy = true;

  constructor(options: CheckOptions) {
    this.#options = options;
  }

  async run(): Promise<CheckReport> {
    const { deeds, progress } = this.#options;
    const carts = this.#newShoppers('client', CARTS);
    await Promise.all(carts.map((shopper, index) => fill(shopper, index % LOGIN_EVERY === 0)));
    progress(`${CARTS} carts filled: ${describePlaces(carts)}`);

    const traffic = carts.map((shopper) => this.#keepUsing(shopper));
    await sleep(BETWEEN_EVENTS_MS);

    const killed = fullest(carts);
    const takeover = this.#watchMoves(killed, carts);
    await deeds.perform('kill', killed);
    progress(`killed ${killed} and its agent, under traffic, with ${takeover.remaining} carts on it`);
    const stuckAfterKill = await untilMoved(takeover);
    progress(`its carts are served elsewhere: ${describePlaces(carts)}`);
    await sleep(BETWEEN_EVENTS_MS);

    const drained = fullest(carts);
    const drain = this.#watchMoves(drained, carts);
    const drainBegan = performance.now();
    await deeds.perform('drain', drained);
    progress(`draining ${drained}, under traffic, with ${drain.remaining} carts on it`);
    await this.#untilState(drained, 'drained');
    const drainTotalMs = tenths(performance.now() - drainBegan);
    const stuckAfterDrain = await untilMoved(drain);
    progress(`${drained} is drained after ${drainTotalMs} ms: ${describePlaces(carts)}`);

    await deeds.perform('restart', killed);
    await this.#untilState(killed, 'up');
    const newcomers = this.#newShoppers('newcomer', NEWCOMERS);
    await Promise.all(newcomers.map((shopper) => fill(shopper, false)));
    const onReturnedServer = newcomers.filter((shopper) => shopper.server === killed).length;
    progress(`${killed} is back and serves ${onReturnedServer} of ${NEWCOMERS} new clients`);
    await deeds.perform('ready', drained);
    await sleep(BETWEEN_EVENTS_MS);

    this.#busy = false;
    await Promise.all(traffic);
    const [audit, newAudit] = await Promise.all([auditAll(carts), auditAll(newcomers)]);
    return {
      sessions: CARTS,
      kept: audit.kept,
      lost: CARTS - audit.kept,
      errors5xx: this.#tally.errors5xx,
      connectionErrors: this.#tally.connectionErrors,
      requests: this.#tally.requests,
      items: countItems(this.#shoppers),
      takeoverMs: spread(takeover.durations),
      drainMs: spread(drain.durations),
      drainTotalMs,
      killed,
      drained,
      newcomers: { sessions: NEWCOMERS, kept: newAudit.kept, onReturnedServer },
      problems: [
        ...audit.problems,
        ...newAudit.problems,
        ...(stuckAfterKill > 0
          ? [`${stuckAfterKill} carts of ${killed} got no good answer after the kill`]
          : []),
        ...(stuckAfterDrain > 0
          ? [`${stuckAfterDrain} carts of ${drained} were not moved by the drain`]
          : []),
        ...(onReturnedServer === 0 ? [`no new client was given to ${killed} after its return`] : []),
      ],
    };
  }

  end(): void {
    this.#busy = false;
    for (const shopper of this.#shoppers) shopper.leave();
  }

  #newShoppers(kind: string, count: number): Shopper[] {
    const made = Array.from(
      { length: count },
      (_, index) =>
        new Shopper({
          name: `${kind}-${index + 1}`,
          shopUrl: this.#options.shopUrl,
          tally: this.#tally,
          onCall: (call: Call) => this.#watch?.observe(call),
        }),
    );
    this.#shoppers.push(...made);
    return made;
  }

  #watchMoves(server: string, carts: readonly Shopper[]): MoveWatch {
    const there = carts.filter((shopper) => shopper.server === server).map((shopper) => shopper.name);
    this.#watch = new MoveWatch(server, there, performance.now());
    return this.#watch;
  }

  async #keepUsing(shopper: Shopper): Promise<void> {
    while (this.#busy) {
      await sleep(SHORTEST_PAUSE_MS + Math.random() * (LONGEST_PAUSE_MS - SHORTEST_PAUSE_MS));
      if (Math.random() < LOOK_SHARE) await shopper.look();
      // Whoever sees an error page reloads.
      else if ((await shopper.add()) === 'indeterminate') await shopper.look();
    }
  }

  async #untilState(id: string, state: BackendState): Promise<void> {
    const giveUp = performance.now() + STATE_WITHIN_MS;
    for (;;) {
      const backends = await this.#options.deeds.backends();
      if (backends.find((backend) => backend.id === id)?.state === state) return;
      if (performance.now() > giveUp) {
        throw new StickshiftError(
          'INTERNAL',
          `${id} was not ${state} within ${STATE_WITHIN_MS / 1000} seconds`,
        );
      }
      await sleep(POLL_MS);
    }
  }
}

async function fill(shopper: Shopper, logIn: boolean): Promise<void> {
  await shopper.add();
  if (logIn) await shopper.logIn();
  for (let item = 1; item < FIRST_ITEMS; item++) await shopper.add();
}

/** Resolves with how many clients had no good answer from another server in time. */
async function untilMoved(watch: MoveWatch): Promise<number> {
  const giveUp = performance.now() + MOVED_WITHIN_MS;
  while (watch.remaining > 0 && performance.now() < giveUp) await sleep(POLL_MS);
  return watch.remaining;
}

function places(shoppers: readonly Shopper[]): [server: string, carts: number][] {
  const counts = new Map<string, number>();
  for (const { server } of shoppers) {
    if (server) counts.set(server, (counts.get(server) ?? 0) + 1);
  }
  return [...counts].toSorted(([a], [b]) => a.localeCompare(b));
}

function describePlaces(shoppers: readonly Shopper[]): string {
  return places(shoppers)
    .map(([server, carts]) => `${server} has ${carts}`)
    .join(', ');
}

function fullest(shoppers: readonly Shopper[]): string {
  const [most] = places(shoppers).toSorted(([, a], [, b]) => b - a);
  if (most) return most[0];
  throw new StickshiftError('INTERNAL', 'the shop gave no client a good answer');
}
