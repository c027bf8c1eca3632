import { setTimeout as delay } from 'node:timers/promises';
import { context, ROOT_CONTEXT } from '@opentelemetry/api';
import type { Logger } from 'pino';
import type { LeaseAnswer, Recall } from '../../protocol/agent-api.ts';
import { asStickshiftError, StickshiftError } from '../../protocol/errors.ts';
import type { AgentClient } from '../agent-client/agent-client.ts';
import type { Backend } from '../backends/backend.ts';
import type { BackendReports } from '../health/backend-reports.ts';
import type { InFlightSessions } from '../sessions/in-flight-sessions.ts';
import { sessionRef } from '../sessions/session-reference.ts';
import type { LeaseCall } from './lease.ts';

/**
 * Pauses after a first call that failed, and after further ones: several attempts fit into the life of a lease. The first is short,
 * because a connection that broke says little, and one that is refused right after it says that the agent is gone.
 */
const FIRST_RETRY_MS = 20;
const NEXT_RETRY_MS = 250;
/** An agent that answers waiting calls at once, with nothing to say, shall not keep both of us busy. */
const MIN_ROUND_MS = 50;
/** A silence worth a line in the log, once it is over, milliseconds: whatever needed the agent has waited for so long. */
const LONG_SILENCE_MS = 1_000;
/** Acknowledgements of one call. */
const MAX_ACKNOWLEDGED = 1_000;
/** A stopping gateway takes its leave of the agents, and waits for none that does not answer. */
const LEAVE_TIMEOUT_MS = 500;

export interface LeaseKeeperOptions {
  readonly backend: Backend;
  /** Names this gateway, until it stops. */
  readonly gateway: string;
  readonly agentClient: AgentClient;
  readonly health: Pick<BackendReports, 'agentFailed'>;
  readonly inFlight: InFlightSessions;
  readonly logger: Logger;
  /** How long a session's requests may go on after the agent has asked for it back, milliseconds. */
  readonly patienceMs: number;
}

/** `quiet`: the agent had nothing to say. */
type CallOutcome = 'news' | 'quiet' | 'failed';

/** Keeps the lease of one backend: has one call of its agent under way at all times, and agrees to what it recalls. */
export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  readonly #log: Logger;
  readonly #stopping = new AbortController();
  /** Recalls that are agreed to, and of which the agent has not heard yet. */
  readonly #acknowledged = new Map<number, { readonly isBroken: boolean }>();
  /** The newest recall that is agreed to, or will be. */
  #handled = -1;
  #telling: Promise<void> | undefined;
  #tellAgain = false;
  /** When the agent answered last, `performance.now()`. */
  #heardAt = performance.now();
  /** Calls in a row that got no answer. */
  #unanswered = 0;
  /** Why there is no lease, as logged last. */
  #trouble: string | undefined;

  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
    this.#log = options.logger.child({ pool: options.backend.pool, backend: options.backend.id });
  }

  /** Resolves when the agent has been asked once, with whatever result. */
  start(): Promise<void> {
    this.#options.backend.lease.onDistrust = () => this.#tell();
    // Calls go on for ever; the trace of whatever led here must not.
    return context.with(ROOT_CONTEXT, async () => {
      const first = await this.#call({ mayWait: false });
      void this.#keep(first);
    });
  }

  /** Gives the lease back, so that recalls need not wait until it has run out. */
  async stop(): Promise<void> {
    const { backend, gateway, agentClient } = this.#options;
    backend.lease.onDistrust = () => undefined;
    this.#stopping.abort();
    if (!backend.lease.holds()) return;
    backend.lease.lapse();
    const farewell = { gateway, seen: -1, acknowledged: [], wait: false, leave: true };
    try {
      await agentClient.lease(backend, farewell, AbortSignal.timeout(LEAVE_TIMEOUT_MS));
    } catch (error) {
      this.#log.info({ err: error }, 'the lease was not given back; it runs out by itself');
    }
  }

  async #keep(first: CallOutcome): Promise<void> {
    const { signal } = this.#stopping;
    let outcome = first;
    let failures = 0;
    let startedAt = performance.now();
    while (!signal.aborted) {
      failures = outcome === 'failed' ? failures + 1 : 0;
      let pauseMs = 0;
      if (outcome === 'failed') pauseMs = failures === 1 ? FIRST_RETRY_MS : NEXT_RETRY_MS;
      if (outcome === 'quiet') pauseMs = MIN_ROUND_MS - (performance.now() - startedAt);
      if (pauseMs > 0) await delay(pauseMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      startedAt = performance.now();
      // After a failure, a call that may wait would only leave it open for longer whether the agent is there again.
      outcome = await this.#call({ mayWait: failures === 0 });
    }
  }

  async #call({ mayWait }: { readonly mayWait: boolean }): Promise<CallOutcome> {
    const { backend, gateway, agentClient } = this.#options;
    const { lease } = backend;
    const call = lease.nextCall();
    // A lease that begins may be of another life of the agent, which numbers its recalls anew.
    const acknowledged = call.seen < 0 ? [] : [...this.#acknowledged.keys()].slice(0, MAX_ACKNOWLEDGED);
    const broken = acknowledged.filter((recall) => this.#acknowledged.get(recall)?.isBroken);
    const wait = mayWait && call.seen >= 0 && !call.renew;
    const request = {
      ...{ gateway, seen: call.seen, acknowledged, wait },
      ...(broken.length > 0 && { broken }),
      ...(call.renew && { renew: true }),
    };
    let answer: LeaseAnswer;
    try {
      answer = await agentClient.lease(backend, request, this.#stopping.signal);
    } catch (error) {
      if (!this.#stopping.signal.aborted) this.#failed(asStickshiftError(error), call);
      return 'failed';
    }
    if (this.#stopping.signal.aborted) return 'quiet';
    this.#unanswered = 0;
    this.#noteSilence();
    for (const number of acknowledged) this.#acknowledged.delete(number);
    if (answer.ttlMs === 0) {
      this.#failed(new StickshiftError('LEASE_REFUSED', 'the agent vouches for nothing right now'), call);
      return 'failed';
    }
    const outcome = lease.answered(call, answer, (id) => sessionRef(backend.pool, id));
    switch (outcome) {
      case 'ignored':
        return 'quiet';
      case 'lapsed':
        this.#lapsed('the agent was restarted, or it ran out before the agent prolonged it');
        return 'quiet';
      case 'began':
        this.#handled = answer.recall;
        // What still matters is told again.
        this.#acknowledged.clear();
        this.#trouble = undefined;
        this.#log.info({ recall: answer.recall }, 'lease holds');
        return 'news';
      case 'goes-on': {
        const news = answer.recalls.filter(({ recall }) => recall > this.#handled);
        for (const recall of news) this.#agreeTo(recall);
        return news.length > 0 ? 'news' : 'quiet';
      }
    }
  }

  #failed(failure: StickshiftError, call: LeaseCall): void {
    const { lease } = this.#options.backend;
    if (failure.code === 'LEASE_REFUSED') {
      lease.refused(call);
      this.#noteSilence();
    }
    this.#suspect(failure);
    if (!lease.holds()) this.#lapsed(failure.message, failure.code);
  }

  /**
   * A call is under way at all times, so that an agent is gone shows here first. One that is silent for as long as a lease holds
   * is as good as gone; a single call without an answer may be our own fault, after a pause of this process.
   */
  #suspect({ code }: StickshiftError): void {
    const { backend, health } = this.#options;
    const isSilent = code === 'AGENT_NO_ANSWER';
    this.#unanswered = isSilent ? this.#unanswered + 1 : 0;
    const isGone =
      code === 'AGENT_UNREACHABLE' || (isSilent && this.#unanswered > 1 && !backend.lease.holds());
    if (isGone && backend.agentUp) health.agentFailed(backend);
  }

  #noteSilence(): void {
    const now = performance.now();
    const silentMs = Math.round(now - this.#heardAt);
    this.#heardAt = now;
    // Of an agent that was taken for down, the log has more than that.
    if (silentMs < LONG_SILENCE_MS || !this.#options.backend.agentUp) return;
    this.#log.warn(
      { silentMs },
      'the agent said nothing for a while; writes and reads of its sessions waited',
    );
  }

  #lapsed(reason: string, code = 'LEASE_LAPSED'): void {
    if (this.#trouble === code) return;
    this.#trouble = code;
    this.#log.warn({ code, reason }, 'no lease: sessions of this backend are looked up at every request');
  }

  /** The lease itself trusts the sessions no more already; what is left is to let their requests finish. */
  #agreeTo({ recall, sessionIds, reason }: Recall): void {
    this.#handled = recall;
    if (sessionIds.length === 0) return;
    const { backend, inFlight, patienceMs } = this.#options;
    const refs = sessionIds.map((id) => sessionRef(backend.pool, id));
    const { term } = backend.lease;
    const agreed = () => {
      if (term !== backend.lease.term) return;
      const isBroken = reason === 'removed' && refs.some((ref) => inFlight.mayBreak(ref));
      this.#acknowledged.set(recall, { isBroken });
      this.#tell();
    };
    const busy = reason === 'lost' ? [] : refs.filter((ref) => inFlight.has(ref));
    if (busy.length === 0) {
      agreed();
      return;
    }
    const over = (ref: string) =>
      reason === 'removed' ? inFlight.ended(ref) : inFlight.idle(ref, patienceMs);
    void Promise.all(busy.map(over)).then(agreed);
  }

  /** A call of its own, soon: the one under way may wait for a quarter of a second. */
  #tell(): void {
    this.#tellAgain = true;
    this.#telling ??= context.with(ROOT_CONTEXT, () => this.#tellAll());
  }

  async #tellAll(): Promise<void> {
    // What is due at the same time goes together.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#tellAgain && !this.#stopping.signal.aborted) {
      this.#tellAgain = false;
      const { lease } = this.#options.backend;
      // Otherwise the call that begins the next lease will say it all.
      if (!lease.holds()) break;
      const outcome = await this.#call({ mayWait: false });
      if (this.#acknowledged.size > 0 && outcome !== 'failed') this.#tellAgain = true;
    }
    this.#telling = undefined;
  }
}
