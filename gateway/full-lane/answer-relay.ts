import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Logger } from 'pino';
import { StickshiftError } from '../../protocol/errors.ts';
import { ATTRIBUTE } from '../../protocol/telemetry-names.ts';
import { type AnsweredBinding, asEnded, bindingAfter, bindingCookie } from '../affinity/binding-cookie.ts';
import type { GatewayCounters } from '../counters.ts';
import { privateCacheControl } from '../forwarding/private-cache-control.ts';
import { backendResponseHeaders } from '../forwarding/response-headers.ts';
import type { Committer } from '../hold/committer.ts';
import type { HoldDecision } from '../hold/hold-rules.ts';
import { spool } from '../hold/spool.ts';
import type { AnswerCheck } from '../leases/answer-check.ts';
import type { KnownBindings } from '../sessions/known-bindings.ts';
import { SessionReference } from '../sessions/session-reference.ts';
import type { AnsweredExchange } from './exchange.ts';

interface AnswerRelayOptions {
  readonly committer: Committer;
  readonly check: AnswerCheck;
  readonly known: KnownBindings;
  readonly counters: GatewayCounters;
  readonly logger: Logger;
  /** Largest body that is held, bytes. */
  readonly spoolLimit: number;
  /** Longest pause within an answer, milliseconds. */
  readonly idleTimeoutMs: number;
}

/** What a web server in front of the app answers when the process behind it has died, or does not come to an end. */
const BROKEN_OFF: ReadonlySet<number> = new Set([502, 504]);

/** Brings a backend's answer to the client: at once, or after the commit of what it acknowledges. */
export class AnswerRelay {
  readonly #options: AnswerRelayOptions;

  constructor(options: AnswerRelayOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the answer's fate is decided; it may still be streaming then.
   *
   * @param onEventStream - called when the answer is one that may never end
   * @throws StickshiftError when the answer must be withheld; nothing was sent then
   */
  async relay(
    exchange: AnsweredExchange,
    request: ClientRequest,
    answer: IncomingMessage,
    onEventStream: () => void,
  ): Promise<void> {
    const { known, idleTimeoutMs } = this.#options;
    const { routing, session } = exchange.route;
    const eventStream = answer.headers['content-type']?.startsWith('text/event-stream') ?? false;
    request.setTimeout(eventStream ? 0 : idleTimeoutMs);

    const named = routing.sessionIds.fromResponse(answer.headers);
    const next =
      named && 'id' in named && named.id !== session?.id
        ? new SessionReference(routing.pool, named.id)
        : undefined;
    if (next) known.set(next.ref, { backend: exchange.backend, epoch: 0, stamp: exchange.stamp });
    const binding = bindingAfter(exchange, session, next);

    const touched = [session, next].filter((reference) => reference !== undefined);
    const { method = '', url = '' } = exchange.request;
    const isBrokenOff = named === undefined && BROKEN_OFF.has(answer.statusCode ?? 0);
    // It acknowledges nothing; and a commit asked for now would settle what a request that died has left half done.
    if (isBrokenOff && session) known.doubt(session.ref);
    const hold = !isBrokenOff && routing.holds({ method, target: url }, named !== undefined);
    if (hold && !eventStream && touched.length > 0) {
      return this.#hold(exchange, answer, hold, touched, binding);
    }
    const checking = this.#check(exchange, named !== undefined);
    if (checking) await checking;
    if (eventStream) onEventStream();
    this.#writeHead(exchange, answer, binding);
    this.#stream(exchange, answer);
  }

  async #hold(
    exchange: AnsweredExchange,
    answer: IncomingMessage,
    hold: HoldDecision,
    touched: readonly SessionReference[],
    binding: AnsweredBinding,
  ): Promise<void> {
    const { committer, known, counters, logger, spoolLimit } = this.#options;
    const isRetired = binding.session !== exchange.route.session;
    const spooled = await spool(answer, spoolLimit);
    if (spooled.outcome === 'broken') {
      // Whether the app still has them is for its agent to say.
      for (const { ref } of touched) known.doubt(ref);
      throw new StickshiftError('BACKEND_RESET', 'the backend broke off within its answer');
    }
    const commit = () => exchange.trace.run(() => committer.commit(exchange, touched, hold));
    if (spooled.outcome === 'whole') {
      const committed = await commit();
      if (committed !== 'ended') {
        const seen = isRetired || committed === 0 ? exchange : { ...exchange, epoch: committed };
        await this.#check(seen, isRetired);
      }
      this.#writeHead(exchange, answer, asCommitted(binding, committed), spooled.body.length);
      exchange.response.end(spooled.body);
      return;
    }
    // Too large to hold: the client gets it as it comes, and what it acknowledges is committed right behind it.
    counters.held.overflowed += 1;
    await this.#check(exchange, isRetired);
    this.#writeHead(exchange, answer, binding);
    exchange.response.write(spooled.head);
    answer.once('end', () => {
      commit().catch((error: unknown) =>
        exchange.trace.run(() =>
          logger.error(
            { err: error, [ATTRIBUTE.sessionKey]: binding.session?.key },
            'an answer too large to hold was sent, and its commit failed',
          ),
        ),
      );
    });
    this.#stream(exchange, answer);
  }

  /** `undefined` when there is nothing to wait for, which is the rule. */
  #check(exchange: AnsweredExchange, retires: boolean): Promise<void> | undefined {
    const { check } = this.#options;
    const { backend, epoch, stamp, ended, trace } = exchange;
    const { session } = exchange.route;
    if (!session || ended) return undefined;
    const sent = { backend, session, epoch, stamp };
    return check.isDue(sent) ? trace.run(() => check.confirm(sent, { retires })) : undefined;
  }

  #writeHead(
    exchange: AnsweredExchange,
    answer: IncomingMessage,
    binding: AnsweredBinding,
    length?: number,
  ): void {
    const { response } = exchange;
    const headers = backendResponseHeaders(answer.rawHeaders);
    const cookie = bindingCookie(exchange.route, binding, exchange.encrypted);
    if (cookie !== undefined) {
      headers.push('Set-Cookie', cookie);
      privateCacheControl(headers);
    }
    const status = answer.statusCode ?? 502;
    if (
      length !== undefined &&
      answer.headers['content-length'] === undefined &&
      mayHaveBody(exchange.request.method, status)
    ) {
      headers.push('Content-Length', String(length));
    }
    this.#options.counters.countResponse(status);
    // The backend's own Date is passed on; a second one would be a lie.
    response.sendDate = answer.headers.date === undefined;
    response.writeHead(status, answer.statusMessage, headers);
  }

  #stream(exchange: AnsweredExchange, answer: IncomingMessage): void {
    const { logger, counters } = this.#options;
    const { response, backend } = exchange;
    answer.once('close', () => {
      if (answer.complete) return;
      // Ending it properly would pass a torn body off as a whole one.
      if (!response.destroyed) {
        counters.countError('BACKEND_RESET');
        exchange.trace.run(() => logger.warn({ backend: backend.id }, 'backend broke off within its answer'));
      }
      response.destroy();
    });
    answer.pipe(response);
  }
}

/** @param committed - epoch of the last session named, 0 when it has no record */
function asCommitted(binding: AnsweredBinding, committed: number | 'ended'): AnsweredBinding {
  if (binding.hasEnded) return binding;
  return committed === 'ended' ? asEnded(binding) : { ...binding, epoch: committed };
}

function mayHaveBody(method: string | undefined, status: number): boolean {
  return method !== 'HEAD' && status >= 200 && status !== 204 && status !== 304;
}
