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
  /** Sessions that a commit would be of. */
  readonly touched: readonly SessionReference[];
  readonly binding: AnsweredBinding;
  /** The answer itself begins, replaces or takes away a session ID. */
  readonly namesSession: boolean;
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

    const isBrokenOff = named === undefined && BROKEN_OFF.has(answer.status);
    // It acknowledges nothing; and a commit asked for now would settle what a request that died has left half done.
    if (isBrokenOff && session) known.doubt(session.ref);
    const namesSession = named !== undefined;
    const touched = touchedBy(session, next);
    const isHoldable = !isBrokenOff && !endless && touched.length > 0;
    const hold = isHoldable ? this.#holdOf(exchange, namesSession) : undefined;
    return { hold, touched, binding, namesSession, endless };
  }

  /**
   * Whether an answer that is not held may go out. `undefined` when there is nothing to wait for, which is the rule.
   *
   * Rejects with a `StickshiftError` when the answer must be withheld.
   */
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
  async release(
    exchange: AnsweredExchange,
    { binding, touched }: AnswerPlan,
    hold: HoldDecision,
  ): Promise<AnsweredBinding> {
    const isRetired = binding.session !== exchange.route.session;
    const committed = await this.#commit(exchange, touched, hold);
    if (committed !== 'ended') {
      const seen = isRetired || committed === 0 ? exchange : asOfEpoch(exchange, committed);
      await this.check(seen, isRetired);
    }
    return asCommitted(binding, committed);
  }

  /** Commits what an answer acknowledges that was too large to hold, and is with its client already. */
  releaseLate(exchange: AnsweredExchange, { binding, touched }: AnswerPlan, hold: HoldDecision): void {
    const { logger } = this.#options;
    this.#commit(exchange, touched, hold).catch((error: unknown) =>
      exchange.trace.run(() =>
        logger.error(
          { err: error, [ATTRIBUTE.sessionKey]: binding.session?.key },
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

  #holdOf({ method, target, route, backend }: AnsweredExchange, setsSession: boolean) {
    return route.routing.holds({ method, target, setsSession, agentIsSilent: backend.lease.isSilent() });
  }

  #commit(exchange: AnsweredExchange, touched: readonly SessionReference[], hold: HoldDecision) {
    return exchange.trace.run(() => this.#options.committer.commit(exchange, touched, hold));
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
