import type { SpanContext } from '@opentelemetry/api';
import type { Logger } from 'pino';
import type { AdoptAnswer, HandoffReason } from '../../protocol/agent-api.ts';
import { asStickshiftError, StickshiftError } from '../../protocol/errors.ts';
import { ATTRIBUTE } from '../../protocol/telemetry-names.ts';
import type { RecordSummary, SnapshotStore } from '../../store/snapshot-store.ts';
import type { AgentClient } from '../agent-client/agent-client.ts';
import type { Backend } from '../backends/backend.ts';
import type { Pool } from '../backends/pool.ts';
import type { Balancer } from '../balancing/balancer.ts';
import type { GatewayCounters } from '../counters.ts';
import type { HealthMonitor } from '../health/health-monitor.ts';
import type { PoolRouting } from '../routing/router.ts';
import type { InFlightSessions } from '../sessions/in-flight-sessions.ts';
import type { KnownBindings } from '../sessions/known-bindings.ts';
import type { SessionReference } from '../sessions/session-reference.ts';
import { HandoffTrace, linkToHandoff, rehydrated } from '../tracing/handoff-trace.ts';
import { assertPlausible, isBackendsTrouble } from './adopt-answer.ts';
import { type Release, Releaser } from './release.ts';

/** Where a session is, after it was looked up and, if need be, moved. */
export interface Placement {
  readonly backend: Backend;
  /** Epoch of the record; 0 when there is none. */
  readonly epoch: number;
  /**
   * `stays`: its owner serves it; `moved`: rehydrated on a new owner; `absent`: no record, any backend will do; `ended`:
   * logged out, and any backend will do for whatever begins instead.
   */
  readonly outcome: 'stays' | 'moved' | 'absent' | 'ended';
  /** Of `moved`: the span that tells how, if it is recorded. */
  readonly handoff?: SpanContext;
}

/** What the request said, and what it has tried already. */
export interface PlacementHint {
  /** Backend that the client believes to be bound to. */
  readonly bound: Backend | undefined;
  readonly boundEpoch: number;
  /** Backends that refused this request's connection. */
  readonly exclude: ReadonlySet<Backend>;
}

/** How often a move may find that the record changed under it before the request is told to come back. */
const MAX_ROUNDS = 4;

interface MoverOptions {
  readonly store: SnapshotStore;
  readonly agentClient: AgentClient;
  readonly health: HealthMonitor;
  readonly routings: ReadonlyMap<Pool, PoolRouting>;
  readonly known: KnownBindings;
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
  readonly #releaser: Releaser;
  readonly #flights = new Map<string, Promise<Placement>>();

  constructor(options: MoverOptions) {
    this.#options = options;
    this.#releaser = new Releaser(options);
  }

  /**
   * @throws StickshiftError `SESSION_UNKNOWN` when neither the store nor the bound agent can tell, `SESSION_MOVING` when it
   * takes too long, `NO_BACKEND` when nobody can take the session. Nothing was changed then; the client may come back.
   */
  async place(session: SessionReference, hint: PlacementHint): Promise<Placement> {
    // Twice at most: the flight under way may have chosen a backend that this request has already found to be dead.
    for (let attempt = 0; ; attempt++) {
      const underWay = this.#flights.get(session.ref);
      const placement = await this.#withinTime(underWay ?? this.#begin(session, hint));
      if (underWay && placement.handoff) linkToHandoff(placement.handoff);
      if (!hint.exclude.has(placement.backend) || attempt > 0) return placement;
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
    const { counters, known, logger } = this.#options;
    const lost = new Set(hint.exclude);
    // Targets whose adopt ended without an answer: it may have happened, so the same target is asked again.
    const unanswered = new Map<Backend, HandoffReason>();
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const record = await this.#lookup(session, hint);
      if (record === 'held') return this.#remember(session, hint.bound as Backend, hint.boundEpoch, 'stays');
      if (!record && hint.bound && isDrained(hint.bound, lost)) {
        // It may hold a session that was never saved, because it is too new or cannot be. Elsewhere it would be gone.
        const release = await this.#release(session, hint.bound, lost, logger);
        if (release === 'released') continue;
        if (release === 'kept') return this.#remember(session, hint.bound, 0, 'stays');
      }
      if (!record) {
        counters.lookups.absent += 1;
        return this.#remember(session, this.#anyBackend(session, hint.bound, lost), 0, 'absent');
      }
      if (record.state === 'ended') {
        counters.lookups.ended += 1;
        // Its ID may come again with every request of this client, and none of them may reach an app.
        known.doubt(session.ref);
        return { backend: this.#anyBackend(session, hint.bound, lost), epoch: 0, outcome: 'ended' };
      }
      counters.lookups.found += 1;
      const owner = session.pool.backends.get(record.owner);
      if (owner && record.state === 'active' && !unanswered.has(owner) && serves(owner, lost)) {
        const placement = await this.#confirm(session, record, owner, lost);
        if (placement) return placement;
        continue;
      }
      const placement = await this.#handOff(session, record, owner, lost, unanswered);
      if (placement) return placement;
    }
    counters.moves.contended += 1;
    throw new StickshiftError(
      'SESSION_MOVING',
      `the session changed hands ${MAX_ROUNDS} times during one move`,
    );
  }

  /**
   * The record; or `held` when the store cannot be reached but the bound agent still holds the session: what it holds is
   * good until a commit says otherwise, so a store that is away does not lock out those who need no move.
   */
  async #lookup(session: SessionReference, hint: PlacementHint): Promise<RecordSummary | undefined | 'held'> {
    const { store, agentClient, counters, logger } = this.#options;
    try {
      return await store.lookup(session.key);
    } catch (error) {
      counters.lookups.unknown += 1;
      const { bound, boundEpoch, exclude } = hint;
      if (bound && boundEpoch > 0 && serves(bound, exclude)) {
        const answer = await agentClient
          .adopt(bound, { sessionId: session.id, ifEpoch: boundEpoch, reason: 'unowned' })
          .catch((failure: unknown) => {
            logger.warn(
              { err: failure, [ATTRIBUTE.sessionKey]: session.key },
              'bound agent cannot tell either',
            );
          });
        if (answer?.outcome === 'found') return 'held';
      }
      throw new StickshiftError('SESSION_UNKNOWN', 'the record could not be looked up', { cause: error });
    }
  }

  /**
   * Has the owner make sure that its app has the session, since either may have been started anew: PHP does not ask for a file
   * that it misses, it begins an empty session. `undefined` when the record has to be read again.
   */
  async #confirm(
    session: SessionReference,
    record: RecordSummary,
    owner: Backend,
    lost: Set<Backend>,
  ): Promise<Placement | undefined> {
    const { agentClient, health, logger } = this.#options;
    try {
      const request = { sessionId: session.id, ifEpoch: record.epoch, reason: 'unowned' } as const;
      const answer = await agentClient.adopt(owner, request);
      assertPlausible(answer, record, owner);
      if (answer.outcome === 'found') {
        if (answer.incarnation) health.agentAnswered(owner, answer.incarnation);
        return this.#remember(session, owner, answer.epoch, 'stays');
      }
      if (answer.outcome !== 'unknown') return undefined;
      if (!isBackendsTrouble(answer.code)) {
        throw new StickshiftError('SESSION_UNKNOWN', `the owner cannot tell: ${answer.code}`);
      }
    } catch (error) {
      const failure = asStickshiftError(error);
      if (failure.source !== 'agent') throw failure;
      if (failure.code === 'AGENT_UNREACHABLE') health.agentFailed(owner);
      logger.warn({ err: failure, [ATTRIBUTE.sessionKey]: session.key }, 'owner gave no good answer');
    }
    lost.add(owner);
    return undefined;
  }

  /** One hand-off; `undefined` when the record has to be read again. */
  #handOff(
    session: SessionReference,
    record: RecordSummary,
    owner: Backend | undefined,
    lost: Set<Backend>,
    unanswered: Map<Backend, HandoffReason>,
  ): Promise<Placement | undefined> {
    const { counters, logger } = this.#options;
    const again = owner && unanswered.get(owner);
    const target = again ? owner : this.#target(session, owner, lost);
    if (!target) {
      // A drained backend with nobody to hand over to still has the session: better there than nowhere.
      if (owner && record.state === 'active' && owner.adminState === 'drain' && isAlive(owner, lost)) {
        return Promise.resolve(this.#remember(session, owner, record.epoch, 'stays'));
      }
      return Promise.reject(new StickshiftError('NO_BACKEND', 'no backend of the pool can take the session'));
    }
    const reason = again ?? handoffReason(record, owner, lost);
    const trace = new HandoffTrace({ session, from: record.owner, to: target.id, reason });
    return trace.run(async () => {
      const log = logger.child(trace.facts);
      try {
        if (record.state === 'active' && !again) {
          const release = await this.#release(session, owner, lost, log);
          if (release === 'kept' && owner) {
            trace.kept();
            return this.#remember(session, owner, record.epoch, 'stays');
          }
        }
        return await this.#adopt(session, record, target, reason, { lost, unanswered, trace, log });
      } catch (error) {
        const failure = asStickshiftError(error);
        counters.moves.failed += 1;
        trace.failed(failure.code);
        log.warn({ err: failure, code: failure.code }, 'session could not be moved');
        throw failure;
      } finally {
        trace.end();
      }
    });
  }

  /** Planned: the old owner captures, commits and gives up. A lost owner is passed over; its epoch will fence it. */
  async #release(
    session: SessionReference,
    owner: Backend | undefined,
    lost: ReadonlySet<Backend>,
    log: Logger,
  ): Promise<Release> {
    if (!owner?.agentUp) return 'lost';
    return this.#releaser.release(session, owner, { appFails: !isAlive(owner, lost), log });
  }

  async #adopt(
    session: SessionReference,
    record: RecordSummary,
    target: Backend,
    reason: HandoffReason,
    handoff: {
      lost: Set<Backend>;
      unanswered: Map<Backend, HandoffReason>;
      trace: HandoffTrace;
      log: Logger;
    },
  ): Promise<Placement | undefined> {
    const { agentClient, counters, health } = this.#options;
    const { lost, unanswered, trace, log } = handoff;
    const started = performance.now();
    let answer: AdoptAnswer;
    try {
      answer = await agentClient.adopt(target, { sessionId: session.id, ifEpoch: record.epoch, reason });
      assertPlausible(answer, record, target);
    } catch (error) {
      const failure = asStickshiftError(error);
      if (failure.source !== 'agent') throw failure;
      if (failure.code === 'AGENT_NO_ANSWER' && !unanswered.has(target)) {
        unanswered.set(target, reason);
      } else {
        unanswered.delete(target);
        lost.add(target);
        if (failure.code === 'AGENT_UNREACHABLE') health.agentFailed(target);
      }
      trace.failed(failure.code);
      log.warn({ err: failure }, 'target gave no good answer');
      return undefined;
    }
    trace.answered(answer);
    switch (answer.outcome) {
      case 'found': {
        counters.moves[reason] += 1;
        if (answer.incarnation) health.agentAnswered(target, answer.incarnation);
        const tookMs = Math.round(performance.now() - started);
        log.info({ ...rehydrated(answer), tookMs }, 'session moved');
        const placement = this.#remember(session, target, answer.epoch, 'moved');
        const handoff = trace.spanContext;
        return handoff ? { ...placement, handoff } : placement;
      }
      case 'absent':
      case 'ended':
      case 'moved':
        // The record is not what it was a moment ago: read it again.
        return undefined;
      case 'unknown':
        if (isBackendsTrouble(answer.code)) {
          lost.add(target);
          log.warn({ code: answer.code }, 'target cannot take the session; trying another');
          return undefined;
        }
        throw new StickshiftError(
          'SESSION_UNKNOWN',
          `the new owner could not adopt the session: ${answer.code}`,
        );
    }
  }

  #target(
    session: SessionReference,
    owner: Backend | undefined,
    lost: ReadonlySet<Backend>,
  ): Backend | undefined {
    const candidates = session.pool.accepting(Date.now()).filter((backend) => !lost.has(backend));
    const others = candidates.filter((backend) => backend !== owner);
    return this.#balancer(session).pick(others.length > 0 ? others : candidates, { sessionKey: session.key });
  }

  #anyBackend(session: SessionReference, bound: Backend | undefined, lost: ReadonlySet<Backend>): Backend {
    if (bound && serves(bound, lost)) return bound;
    const candidates = session.pool.accepting(Date.now()).filter((backend) => !lost.has(backend));
    const backend = this.#balancer(session).pick(candidates, { sessionKey: session.key });
    if (!backend) throw new StickshiftError('NO_BACKEND', 'no backend of the pool accepts clients');
    return backend;
  }

  #balancer(session: SessionReference): Balancer {
    const balancer = this.#options.routings.get(session.pool)?.balancer;
    if (!balancer) throw new StickshiftError('INTERNAL', `pool ${session.pool.name} has no balancer`);
    return balancer;
  }

  #remember(
    session: SessionReference,
    backend: Backend,
    epoch: number,
    outcome: Placement['outcome'],
  ): Placement {
    this.#options.known.set(session.ref, { backend, epoch, at: Date.now() });
    return { backend, epoch, outcome };
  }
}

function isAlive(backend: Backend, lost: ReadonlySet<Backend>): boolean {
  return backend.isUp(Date.now()) && !lost.has(backend);
}

/** Still serves what cannot be had elsewhere. */
function isDrained(backend: Backend, lost: ReadonlySet<Backend>): boolean {
  return backend.adminState !== 'ready' && isAlive(backend, lost);
}

/** Serves the sessions that it owns. */
function serves(backend: Backend, lost: ReadonlySet<Backend>): boolean {
  return backend.adminState === 'ready' && isAlive(backend, lost);
}

function handoffReason(
  record: RecordSummary,
  owner: Backend | undefined,
  lost: ReadonlySet<Backend>,
): HandoffReason {
  if (record.state === 'released')
    return owner && owner.adminState !== 'ready' ? owner.adminState : 'unowned';
  if (!owner || !isAlive(owner, lost)) return 'takeover';
  return owner.adminState === 'ready' ? 'rebalance' : owner.adminState;
}
