import type { IncomingHttpHeaders } from 'node:http';
import type { Logger } from 'pino';
import { ATTRIBUTE } from '../../protocol/telemetry-names.ts';
import { type AnsweredBinding, asEnded, bindingAfter, bindingCookie } from '../affinity/binding-cookie.ts';
import type { Committer } from '../hold/committer.ts';
import type { HoldDecision } from '../hold/hold-rules.ts';
import type { AnswerCheck } from '../leases/answer-check.ts';
import type { KnownBindings } from '../sessions/known-bindings.ts';
import { SessionReference } from '../sessions/session-reference.ts';
import type { AnsweredExchange } from './exchange.ts';

interface AnswerRulesOptions {
  readonly committer: Committer;
  readonly check: AnswerCheck;
  readonly known: KnownBindings;
  readonly logger: Logger;
}

/** What an answer's head says; of the headers, only those that {@link AnswerRules} and a pool's session rule read. */
export interface AnswerHead {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
}

/** What is to become of an answer, decided from its head. */
export interface AnswerPlan {
  /** Set when the answer has to wait for a commit, whole. */
  readonly hold: HoldDecision | undefined;
  /** Set when it goes out as it comes, but not before the agent has said that what it shows is saved. */
  readonly ask: HoldDecision | undefined;
  /** Sessions that a commit would be of. */
  readonly touched: readonly SessionReference[];
  readonly binding: AnsweredBinding;
  /** The answer itself begins, replaces or takes away a session ID. */
  readonly namesSession: boolean;
  /** It is an error, and says nothing of a session: its request may have died over the one that it was sent with. */
  readonly failed: boolean;
  /** It may never end by itself. */
  readonly endless: boolean;
}

/** What a web server in front of the app answers when the process behind it has died, or does not come to an end. */
const BROKEN_OFF: ReadonlySet<number> = new Set([502, 504]);
const EVENT_STREAM = /^text\/event-stream/i;
const NOBODY: readonly SessionReference[] = [];

/**
 * Decides what becomes of a backend's answer: whether it waits for a commit, whether it may go out at all, and where its client is
 * bound afterwards. Knows no lane; whoever moves the bytes asks here.
 */
export class AnswerRules {
  readonly #options: AnswerRulesOptions;

  constructor(options: AnswerRulesOptions) {
    this.#options = options;
  }

  plan(exchange: AnsweredExchange, answer: AnswerHead): AnswerPlan {
    const { known } = this.#options;
    const { routing, session } = exchange.route;
    const endless = EVENT_STREAM.test(answer.headers['content-type'] ?? '');

    const named = routing.sessionIds.fromResponse(answer.headers);
    const next =
      named && 'id' in named && named.id !== session?.id
        ? new SessionReference(routing.pool, named.id)
        : undefined;
    if (next) known.set(next.ref, { backend: exchange.backend, epoch: 0, stamp: exchange.stamp });
    const binding = bindingAfter(exchange, session, next);

    const failed = named === undefined && answer.status >= 500;
    // It acknowledges nothing; and a commit asked for now would settle what a request that died has left half done.
    const isBrokenOff = failed && BROKEN_OFF.has(answer.status);
    const namesSession = named !== undefined;
    const touched = touchedBy(session, next);
    const isCommittable = !isBrokenOff && touched.length > 0;
    const hold = isCommittable && !endless ? routing.holds(exchange, namesSession) : undefined;
    // Whether the app still has its session is for the agent to say, which is asked only for what is held.
    if (failed && !hold && session) known.doubt(session.ref);
    // What the app has changed lately may never be saved. Asked as if the answer had changed it.
    const isUnsure = !exchange.backend.agentUp || exchange.backend.lease.isSilent();
    const ask = isCommittable && !hold && isUnsure ? routing.holds(exchange, true) : undefined;
    return { hold, ask, touched, binding, namesSession, failed, endless };
  }

  /**
   * Whether an answer that is not held may go out. `undefined` when there is nothing to wait for, which is the rule.
   *
   * Rejects with a `StickshiftError` when the answer must be withheld.
   */
  admit(exchange: AnsweredExchange, plan: AnswerPlan): Promise<void> | undefined {
    return plan.ask ? this.#admitSaved(exchange, plan, plan.ask) : this.check(exchange, plan.namesSession);
  }

  /** Whether the session is still where the request was sent; answers as {@link admit} does. */
  check(exchange: AnsweredExchange, retires: boolean): Promise<void> | undefined {
    const { check } = this.#options;
    const { backend, epoch, stamp, ended, trace } = exchange;
    const { session } = exchange.route;
    if (!session || ended) return undefined;
    const sent = { backend, session, epoch, stamp };
    return check.isDue(sent) ? trace.run(() => check.confirm(sent, { retires })) : undefined;
  }

  /**
   * Resolves when a held answer may go out, with where its client is bound then.
   *
   * @throws StickshiftError when the answer must be withheld
   */
  async release(exchange: AnsweredExchange, plan: AnswerPlan, hold: HoldDecision): Promise<AnsweredBinding> {
    const { binding } = plan;
    const isRetired = binding.session !== exchange.route.session;
    const committed = await this.#commit(exchange, plan, hold);
    if (committed !== 'ended') {
      // Of a session that had no record yet. Any other epoch than the one that the request was sent in is a sign that it moved.
      const isFirst = exchange.epoch === 0 && committed !== 0 && !isRetired;
      await this.check(isFirst ? asOfEpoch(exchange, committed) : exchange, isRetired);
    }
    return asCommitted(binding, committed);
  }

  /** Commits what an answer acknowledges that was too large to hold, and is with its client already. */
  releaseLate(exchange: AnsweredExchange, plan: AnswerPlan, hold: HoldDecision): void {
    const { logger } = this.#options;
    this.#commit(exchange, plan, hold).catch((error: unknown) =>
      exchange.trace.run(() =>
        logger.error(
          { err: error, [ATTRIBUTE.sessionKey]: plan.binding.session?.key },
          'an answer too large to hold was sent, and its commit failed',
        ),
      ),
    );
  }

  /** The backend broke off within an answer that was to be held. */
  brokenOff({ touched }: AnswerPlan): void {
    // Whether the app still has them is for its agent to say.
    for (const { ref } of touched) this.#options.known.doubt(ref);
  }

  /** The Set-Cookie value that the answer has to carry; `undefined` when its client is told nothing new. */
  cookie({ route, encrypted }: AnsweredExchange, binding: AnsweredBinding): string | undefined {
    return bindingCookie(route, binding, encrypted);
  }

  async #admitSaved(exchange: AnsweredExchange, plan: AnswerPlan, ask: HoldDecision): Promise<void> {
    await this.#commit(exchange, plan, ask);
    await this.check(exchange, plan.namesSession);
  }

  #commit(exchange: AnsweredExchange, { touched, failed }: AnswerPlan, hold: HoldDecision) {
    return exchange.trace.run(() => this.#options.committer.commit(exchange, touched, hold, failed));
  }
}

function touchedBy(
  session: SessionReference | undefined,
  next: SessionReference | undefined,
): readonly SessionReference[] {
  if (!next) return session ? [session] : NOBODY;
  return session ? [session, next] : [next];
}

function asOfEpoch(exchange: AnsweredExchange, epoch: number): AnsweredExchange {
  const { method, target, route, encrypted, trace, backend, incarnation, stamp, ended } = exchange;
  return { method, target, route, encrypted, trace, backend, incarnation, stamp, ended, epoch };
}

/** @param committed - epoch of the last session named, 0 when it has no record */
function asCommitted(binding: AnsweredBinding, committed: number | 'ended'): AnsweredBinding {
  if (binding.hasEnded) return binding;
  return committed === 'ended' ? asEnded(binding) : { ...binding, epoch: committed };
}
