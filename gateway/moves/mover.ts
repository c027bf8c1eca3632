import type { Logger } from 'pino';
import { StickshiftError } from '../../protocol/errors.ts';
import type { RecordSummary, SnapshotStore } from '../../store/snapshot-store.ts';
import type { AgentClient } from '../agent-client/agent-client.ts';
import type { Backend } from '../backends/backend.ts';
import type { Pool } from '../backends/pool.ts';
import type { GatewayCounters } from '../counters.ts';
import type { BackendReports } from '../health/backend-reports.ts';
import type { Acknowledgements } from '../hold/acknowledgements.ts';
import type { Stamp } from '../leases/stamp.ts';
import type { PoolRouting } from '../routing/router.ts';
import type { InFlightSessions } from '../sessions/in-flight-sessions.ts';
import type { KnownBindings } from '../sessions/known-bindings.ts';
import type { SessionReference } from '../sessions/session-reference.ts';
import { linkToHandoff } from '../tracing/handoff-trace.ts';
import { notInTime } from './adopt-answer.ts';
import { isDrained, serves, servesMeanwhile } from './availability.ts';
import { Handoffs } from './handoffs.ts';
import { Owners } from './owners.ts';
import { Patience } from './patience.ts';
import type { Placement, PlacementHint, Search, Step } from './placement.ts';
import { Releaser } from './release.ts';
import { Takeovers } from './takeovers.ts';
import { Targets } from './targets.ts';

/** How often a move may find that the record changed under it before the request is told to come back. */
const MAX_ROUNDS = 4;

interface MoverOptions {
  readonly store: Pick<SnapshotStore, 'lookup' | 'settlingMs'>;
  readonly agentClient: AgentClient;
  readonly health: BackendReports;
  readonly routings: ReadonlyMap<Pool, PoolRouting>;
  readonly known: KnownBindings;
  readonly acknowledged: Acknowledgements;
  readonly inFlight: InFlightSessions;
  readonly counters: GatewayCounters;
  readonly logger: Logger;
  /** How long a request waits for its session, milliseconds. */
  readonly moveTimeoutMs: number;
}

/**
 * Decides by the record where a session belongs, and moves it when its owner cannot or shall not serve it. Single-flight
 * per session: requests of one session that arrive together share one move.
 */
export class Mover {
  readonly #options: MoverOptions;
  readonly #targets: Targets;
  readonly #owners: Owners;
  readonly #releaser: Releaser;
  readonly #handoffs: Handoffs;
  readonly #flights = new Map<string, Promise<Placement>>();

  constructor(options: MoverOptions) {
    this.#options = options;
    this.#targets = new Targets(options.routings);
    this.#owners = new Owners(options);
    this.#releaser = new Releaser(options);
    this.#handoffs = new Handoffs({
      ...options,
      targets: this.#targets,
      releaser: this.#releaser,
      takeovers: new Takeovers(options),
    });
  }

  /**
   * @throws StickshiftError `SESSION_UNKNOWN` when neither the store nor the bound agent can tell, `SESSION_MOVING` when it
   * takes too long, `SNAPSHOT_TOO_OLD` when the pool would rather have no session than the last commit, `NO_BACKEND` when
   * nobody can take the session. Nothing was changed then; the client may come back.
   */
  async place(session: SessionReference, hint: PlacementHint): Promise<Placement> {
    for (let attempt = 0; ; attempt++) {
      const underWay = this.#flights.get(session.ref);
      const placement = await this.#withinTime(underWay ?? this.#begin(session, hint));
      if (underWay && placement.handoff) linkToHandoff(placement.handoff);
      // Twice at most: the flight under way may have chosen a backend that this request has already found to be dead, or, asked
      // by a client who knew less, one that this request knows to have lost the session.
      const isOutdated = underWay !== undefined && placement.epoch < hint.boundEpoch;
      if ((!hint.exclude.has(placement.backend) && !isOutdated) || attempt > 0) return placement;
    }
  }

  #begin(session: SessionReference, hint: PlacementHint): Promise<Placement> {
    const flight = this.#place(session, hint).finally(() => this.#flights.delete(session.ref));
    this.#flights.set(session.ref, flight);
    return flight;
  }

  async #withinTime(flight: Promise<Placement>): Promise<Placement> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () =>
          reject(new StickshiftError('SESSION_MOVING', 'the move took longer than gateway.timeouts.move')),
        this.#options.moveTimeoutMs,
      );
    });
    try {
      return await Promise.race([flight, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #place(session: SessionReference, hint: PlacementHint): Promise<Placement> {
    const { counters, known, moveTimeoutMs } = this.#options;
    const search: Search = {
      session,
      hint,
      lost: new Set(hint.exclude),
      silent: new Set(),
      unanswered: new Map(),
      patience: new Patience(moveTimeoutMs),
    };
    for (let round = 0; round < MAX_ROUNDS; ) {
      const step = await this.#step(search);
      if (step === 'again') {
        round += 1;
      } else if (step !== 'later') {
        const { backend, epoch, stamp } = step;
        // The ID of an ended session may come again with every request of this client, and none of them may reach an app.
        if (step.outcome === 'ended') known.doubt(session.ref, step);
        else known.set(session.ref, { backend, epoch, stamp });
        return step;
      }
    }
    counters.moves.contended += 1;
    throw new StickshiftError(
      'SESSION_MOVING',
      `the session changed hands ${MAX_ROUNDS} times during one move`,
    );
  }

  async #step(search: Search): Promise<Step> {
    const { acknowledged, counters } = this.#options;
    const { session, hint, unanswered } = search;
    // As of before the record is read: a recall may overtake the answer.
    const stamps = new Map([...session.pool.backends.values()].map((one) => [one, one.lease.stamp()]));
    const record = await this.#lookup(search);
    if (record === 'held') {
      const backend = hint.bound as Backend;
      return { backend, epoch: hint.boundEpoch, outcome: 'stays', stamp: stamps.get(backend) };
    }
    if (!record) return this.#withoutRecord(search, stamps);
    if (record.state === 'ended') {
      counters.lookups.ended += 1;
      acknowledged.forget(session.ref);
      const { epoch } = record;
      return { backend: this.#targets.any(search), epoch, outcome: 'ended', stamp: undefined };
    }
    counters.lookups.found += 1;
    const owner = session.pool.backends.get(record.owner);
    if (owner && record.state === 'active' && !unanswered.has(owner) && this.#mayStay(owner, search)) {
      return this.#owners.confirm(search, record, owner);
    }
    if (await this.#settles(search)) return 'later';
    return this.#handoffs.run(search, record, owner);
  }

  async #withoutRecord(search: Search, stamps: ReadonlyMap<Backend, Stamp | undefined>): Promise<Step> {
    const { acknowledged, counters, inFlight, logger } = this.#options;
    const { session, hint, lost } = search;
    const { bound } = hint;
    if (bound && isDrained(bound, lost)) {
      // It may hold a session that was never saved, because it is too new or cannot be. Elsewhere it would be gone.
      const isBusy = inFlight.has(session.ref) && servesMeanwhile(bound, lost);
      const release = isBusy ? 'kept' : await this.#releaser.release(search, bound, logger);
      if (release === 'released') return 'again';
      if (release === 'kept') return { backend: bound, epoch: 0, outcome: 'stays', stamp: stamps.get(bound) };
    }
    counters.lookups.absent += 1;
    acknowledged.forget(session.ref);
    const backend = this.#targets.any(search);
    return { backend, epoch: 0, outcome: 'absent', stamp: stamps.get(backend) };
  }

  /**
   * The record; or `held` when the store cannot be reached, or does not know yet what it has forgotten, but the bound agent
   * holds the session.
   */
  async #lookup(search: Search): Promise<RecordSummary | undefined | 'held'> {
    const { store, counters } = this.#options;
    let reason: StickshiftError;
    try {
      const settlingBefore = store.settlingMs;
      const record = await store.lookup(search.session.key);
      const retryAfterMs = Math.max(settlingBefore, store.settlingMs);
      if (record || retryAfterMs === 0) return record;
      const message = 'the store is settling, and may have forgotten the record';
      reason = new StickshiftError('SESSION_UNKNOWN', message, { retryAfterMs });
    } catch (error) {
      reason = new StickshiftError('SESSION_UNKNOWN', 'the record could not be looked up', { cause: error });
    }
    counters.lookups.unknown += 1;
    if (await this.#owners.boundHolds(search)) return 'held';
    throw reason;
  }

  /**
   * Whether an owner that is there goes on serving the session. A drained one does while it cannot be helped: a request of the
   * session is under way there, the store is settling and no session may change hands, or nobody else is there to take it.
   */
  #mayStay(owner: Backend, search: Search): boolean {
    const { store, inFlight } = this.#options;
    const { session, lost } = search;
    if (serves(owner, lost)) return true;
    if (!servesMeanwhile(owner, lost)) return false;
    return (
      store.settlingMs > 0 || inFlight.has(session.ref) || this.#targets.newOwner(search, owner) === owner
    );
  }

  /** Waits for the store to settle, if it does: what it has forgotten may be the newer owner's. */
  async #settles({ patience }: Search): Promise<boolean> {
    const { settlingMs } = this.#options.store;
    if (settlingMs === 0) return false;
    await patience.wait(settlingMs, () => notInTime('STORE_SETTLING', settlingMs));
    return true;
  }
}
