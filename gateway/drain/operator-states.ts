import type { Logger } from 'pino';
import { asStickshiftError } from '../../protocol/errors.ts';
import type { SharedBackendState, SnapshotStore } from '../../store/snapshot-store.ts';
import type { AdminState, Backend } from '../backends/backend.ts';
import type { Pool } from '../backends/pool.ts';
import type { Drains } from './drains.ts';

const POLL_MS = 1_000;
/** Of the pause between two polls, so that many gateways do not ask all at once. */
const JITTER = 0.25;

export interface OperatorStatesOptions {
  readonly pools: readonly Pool[];
  readonly store: Pick<SnapshotStore, 'setBackendState' | 'backendStates'>;
  readonly drains: Drains;
  readonly logger: Logger;
  /** Called after every change of what is asked for a backend. */
  readonly changed?: (backend: Backend) => void;
  /** Pause between two looks into the store, milliseconds. Default 1000. */
  readonly pollMs?: number;
}

/** What this gateway has made of a backend's state. */
interface Applied {
  /** Of the state in the store; 0: nobody has ever set one. */
  readonly revision: number;
  /** When the patience of the drain ends, `performance.now()`. */
  readonly patienceEndsAt: number;
}

/** What the store last answered, or did not. */
export interface StoreFailure {
  readonly code: string;
  /** Milliseconds since 1970. */
  readonly since: number;
}

const NEVER_SET: Applied = { revision: 0, patienceEndsAt: 0 };

/**
 * What operators ask for backends: written to the store by the gateway that was asked, and read from there by all of them,
 * each second. Every gateway then drains by itself: only it can close its own connections, and to release a session twice
 * does no harm.
 */
export class OperatorStates {
  readonly #options: OperatorStatesOptions;
  readonly #applied = new Map<Backend, Applied>();
  /** One look or change at a time: an answer of before a change must not be taken for what came after it. */
  #turn: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #storeFailure: StoreFailure | undefined;
  #stopped = false;

  constructor(options: OperatorStatesOptions) {
    this.#options = options;
  }

  /** As of the last look, each second: the only thing that a gateway without trouble asks the store. */
  get storeFailure(): StoreFailure | undefined {
    return this.#storeFailure;
  }

  /** Resolves after the first look into the store. When that fails, the states are applied as soon as there is a good one. */
  async start(): Promise<void> {
    await this.#look();
    this.#scheduleNext();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /**
   * Sets a backend's state for all gateways; this one has it when the call resolves.
   *
   * @param deadlineMs - how long a `drain` may take
   * @throws StickshiftError of source `store`. Nothing was changed here then; unless it is `STORE_UNREACHABLE`, the change may
   * have been made, and is applied like another gateway's
   */
  set(backend: Backend, state: AdminState, deadlineMs: number): Promise<void> {
    return this.#inTurn(async () => this.#apply(backend, await this.#write(backend, state, deadlineMs)));
  }

  #scheduleNext(): void {
    if (this.#stopped) return;
    const { pollMs = POLL_MS } = this.#options;
    const pause = pollMs * (1 + JITTER * (2 * Math.random() - 1));
    this.#timer = setTimeout(() => this.#look().then(() => this.#scheduleNext()), pause);
    this.#timer.unref();
  }

  /** Never rejects: a failure is logged, once for each outage. */
  async #look(): Promise<void> {
    const { pools, logger } = this.#options;
    try {
      const applications = new Set(pools.map(({ application }) => application));
      for (const application of applications) await this.#inTurn(() => this.#follow(application));
      if (this.#storeFailure) logger.info('the states of backends can be read again');
      this.#storeFailure = undefined;
    } catch (error) {
      if (this.#stopped) return;
      const failure = asStickshiftError(error);
      if (!this.#storeFailure) {
        logger.warn(
          { err: failure, code: failure.code },
          'the states of backends cannot be read from the store; those that are known stay',
        );
      }
      this.#storeFailure = { code: failure.code, since: this.#storeFailure?.since ?? Date.now() };
    }
  }

  async #follow(application: string): Promise<void> {
    const { pools, store } = this.#options;
    const states = await store.backendStates(application);
    if (this.#stopped) return;
    const byId = new Map(states.map((state) => [state.backend, state]));
    for (const pool of pools.filter((candidate) => candidate.application === application)) {
      for (const backend of pool.backends.values()) await this.#reconcile(backend, byId.get(backend.id));
    }
  }

  async #reconcile(backend: Backend, state: SharedBackendState | undefined): Promise<void> {
    const { logger } = this.#options;
    const { revision, patienceEndsAt } = this.#applied.get(backend) ?? NEVER_SET;
    const { revision: newest = 0, state: asked = 'ready' } = state ?? {};
    const isKnown = asked === backend.adminState;
    if (newest === revision && isKnown) return;
    const facts = { pool: backend.pool, backend: backend.id };
    // Equal, too: since it forgot them, the store may have counted up to where it was.
    if (state && newest >= revision) {
      const change = { ...facts, from: backend.adminState, to: asked };
      if (!isKnown) logger.info(change, 'state of a backend, set at another gateway');
      this.#apply(backend, state);
      return;
    }
    if (isKnown) {
      this.#applied.set(backend, { revision: newest, patienceEndsAt });
      return;
    }
    // Going back means that the store has lost what an operator asked for.
    const remainingMs = Math.max(0, Math.round(patienceEndsAt - performance.now()));
    const written = await this.#write(backend, backend.adminState, remainingMs);
    this.#applied.set(backend, { revision: written.revision, patienceEndsAt });
    logger.warn(
      { ...facts, state: backend.adminState },
      'the store had forgotten the state of a backend; written again',
    );
  }

  #write(backend: Backend, state: AdminState, deadlineMs: number): Promise<SharedBackendState> {
    const application = this.#applicationOf(backend);
    return this.#options.store.setBackendState({
      application,
      backend: backend.id,
      state,
      deadlineMs: state === 'drain' ? deadlineMs : 0,
    });
  }

  #apply(backend: Backend, { state, revision, remainingMs }: SharedBackendState): void {
    const { drains, changed } = this.#options;
    this.#applied.set(backend, { revision, patienceEndsAt: performance.now() + remainingMs });
    backend.adminState = state;
    // Ends together with the trust in older bindings, and begins before anybody is asked what is under way.
    if (state === 'ready') drains.cancel(backend);
    changed?.(backend);
    if (state !== 'ready') drains.start(backend, remainingMs);
  }

  #applicationOf(backend: Backend): string {
    return this.#options.pools.find(({ name }) => name === backend.pool)?.application ?? backend.pool;
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(work);
    // Whoever comes next does not care how this one ended; its caller does.
    this.#turn = result.catch(() => undefined);
    return result;
  }
}
