import type { Logger } from 'pino';
import type { AdoptAnswer } from '../../protocol/agent-api.ts';
import { asStickshiftError, StickshiftError } from '../../protocol/errors.ts';
import type { RecordSummary, SnapshotStore } from '../../store/snapshot-store.ts';
import type { AgentClient } from '../agent-client/agent-client.ts';
import type { Backend } from '../backends/backend.ts';
import type { GatewayCounters } from '../counters.ts';
import type { BackendReports } from '../health/backend-reports.ts';
import { HandoffTrace, rehydrated } from '../tracing/handoff-trace.ts';
import { assertPlausible, isBackendsTrouble, isPassing, notInTime } from './adopt-answer.ts';
import { isAlive } from './availability.ts';
import type { HandoffKind, Placement, Search } from './placement.ts';
import type { Releaser } from './release.ts';
import type { Takeovers } from './takeovers.ts';
import type { Targets } from './targets.ts';

interface HandoffsOptions {
  readonly store: Pick<SnapshotStore, 'settlingMs'>;
  readonly agentClient: AgentClient;
  readonly health: BackendReports;
  readonly targets: Targets;
  readonly releaser: Releaser;
  readonly takeovers: Takeovers;
  readonly counters: GatewayCounters;
  readonly logger: Logger;
}

/** One hand-off, from whom to whom and how it is told of. */
interface Handoff {
  readonly record: RecordSummary;
  readonly target: Backend;
  readonly trace: HandoffTrace;
  readonly log: Logger;
}

/** Moves sessions to new owners: planned, by release and adopt; or, when the old owner is lost, by adopt alone. */
export class Handoffs {
  readonly #options: HandoffsOptions;

  constructor(options: HandoffsOptions) {
    this.#options = options;
  }

  /**
   * @throws StickshiftError `NO_BACKEND`, `SNAPSHOT_TOO_OLD`, `SESSION_UNKNOWN`, `SESSION_MOVING`; the session is where it was
   */
  async run(search: Search, record: RecordSummary, owner: Backend | undefined): Promise<Placement | 'again'> {
    const { targets, counters, logger } = this.#options;
    const { session, lost, unanswered } = search;
    const again = owner && unanswered.get(owner);
    const stamp = owner?.lease.stamp();
    const target = again ? owner : targets.newOwner(search, owner);
    if (!target) throw new StickshiftError('NO_BACKEND', 'no backend of the pool can take the session');
    const reason = again?.reason ?? handoffReason(record, owner, lost);
    const trace = new HandoffTrace({ session, from: record.owner, to: target.id, reason });
    return trace.run(async () => {
      const log = logger.child(trace.facts);
      try {
        let isTakeover = again?.isTakeover ?? false;
        if (record.state === 'active' && !again) {
          const release = await this.#options.releaser.release(search, owner, log);
          if (release === 'kept' && owner) {
            trace.kept();
            return { backend: owner, epoch: record.epoch, outcome: 'stays', stamp } as const;
          }
          isTakeover = release === 'lost';
          if (isTakeover) this.#options.takeovers.assertYoungEnough(session.pool, record);
        }
        return await this.#adopt(search, { reason, isTakeover }, { record, target, trace, log });
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

  async #adopt(search: Search, kind: HandoffKind, handoff: Handoff): Promise<Placement | 'again'> {
    const { health } = this.#options;
    const { lost, unanswered } = search;
    const { target, trace, log } = handoff;
    const started = performance.now();
    // Before the question: a recall may overtake its answer.
    const stamp = target.lease.stamp();
    let answer: AdoptAnswer;
    try {
      answer = await this.#ask(search, kind, handoff);
    } catch (error) {
      const failure = asStickshiftError(error);
      if (failure.source !== 'agent' || failure.code === 'SESSION_MOVING') throw failure;
      if (failure.code === 'AGENT_NO_ANSWER' && !unanswered.has(target)) {
        unanswered.set(target, kind);
      } else {
        unanswered.delete(target);
        lost.add(target);
        if (failure.code === 'AGENT_UNREACHABLE') health.agentFailed(target);
      }
      trace.failed(failure.code);
      log.warn({ err: failure }, 'target gave no good answer');
      return 'again';
    }
    trace.answered(answer);
    if (answer.outcome === 'found') {
      if (answer.incarnation) health.agentAnswered(target, answer.incarnation);
      this.#tell(search, kind, answer, handoff, performance.now() - started);
      const placement = { backend: target, epoch: answer.epoch, outcome: 'moved', stamp } as const;
      return trace.spanContext ? { ...placement, handoff: trace.spanContext } : placement;
    }
    // The record is not what it was a moment ago: read it again.
    if (answer.outcome !== 'unknown') return 'again';
    if (!isBackendsTrouble(answer.code)) {
      throw new StickshiftError(
        'SESSION_UNKNOWN',
        `the new owner could not adopt the session: ${answer.code}`,
      );
    }
    lost.add(target);
    log.warn({ code: answer.code }, 'target cannot take the session; trying another');
    return 'again';
  }

  /** Asks until the answer is more than that something has to pass first. */
  async #ask({ session, patience }: Search, { reason }: HandoffKind, handoff: Handoff): Promise<AdoptAnswer> {
    const { store, agentClient } = this.#options;
    const { record, target } = handoff;
    for (;;) {
      const request = { sessionId: session.id, ifEpoch: record.epoch, reason };
      const answer = await agentClient.adopt(target, request);
      assertPlausible(answer, record, target);
      if (answer.outcome !== 'unknown' || !isPassing(answer.code)) return answer;
      const { code } = answer;
      await patience.pause(() => notInTime(code, store.settlingMs));
    }
  }

  #tell(
    { session }: Search,
    { reason, isTakeover }: HandoffKind,
    answer: Extract<AdoptAnswer, { outcome: 'found' }>,
    { trace, log }: Handoff,
    tookMs: number,
  ): void {
    const { counters, takeovers } = this.#options;
    counters.moves[reason] += 1;
    const facts = { ...rehydrated(answer), tookMs: Math.round(tookMs) };
    if (takeovers.isPossiblyLost(session.ref, answer.seq, isTakeover)) {
      trace.possiblyLost();
      log.warn(facts, 'session moved without a change that was acknowledged: it is possibly lost');
    } else {
      log.info(facts, 'session moved');
    }
  }
}

function handoffReason(
  record: RecordSummary,
  owner: Backend | undefined,
  lost: ReadonlySet<Backend>,
): HandoffKind['reason'] {
  if (record.state === 'released')
    return owner && owner.adminState !== 'ready' ? owner.adminState : 'unowned';
  if (!owner || !isAlive(owner, lost)) return 'takeover';
  return owner.adminState === 'ready' ? 'rebalance' : owner.adminState;
}
