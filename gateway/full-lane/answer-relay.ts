import type { ClientRequest, IncomingMessage } from 'node:http';
import { StickshiftError } from '../../protocol/errors.ts';
import type { AnsweredBinding } from '../affinity/binding-cookie.ts';
import type { GatewayCounters } from '../counters.ts';
import type { AnswerPlan, AnswerRules } from '../delivery/answer-rules.ts';
import { privateCacheControl } from '../forwarding/private-cache-control.ts';
import { announcesVoidBody, backendResponseHeaders, mayHaveBody } from '../forwarding/response-headers.ts';
import type { HoldDecision } from '../hold/hold-rules.ts';
import { spool } from '../hold/spool.ts';
import type { FullLaneExchange } from './exchange.ts';

interface AnswerRelayOptions {
  readonly rules: AnswerRules;
  readonly counters: GatewayCounters;
  /** Largest body that is held, bytes. */
  readonly spoolLimit: number;
  /** Longest pause within an answer, milliseconds. */
  readonly idleTimeoutMs: number;
}

/** Brings a backend's answer to the client: at once, or after the commit of what it acknowledges. */
export class AnswerRelay {
  readonly #options: AnswerRelayOptions;

  constructor(options: AnswerRelayOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the answer's fate is decided; it may still be streaming then.
   *
   * @throws StickshiftError when the answer must be withheld; nothing was sent then
   */
  async relay(exchange: FullLaneExchange, request: ClientRequest, answer: IncomingMessage): Promise<void> {
    const { rules, idleTimeoutMs } = this.#options;
    const { delivery } = exchange;
    const plan = rules.plan(delivery, { status: answer.statusCode ?? 502, headers: answer.headers });
    request.setTimeout(plan.endless ? 0 : idleTimeoutMs);
    const { 'content-length': length, 'transfer-encoding': coding } = answer.headers;
    const contentLength = length === undefined ? undefined : Number(length);
    const announced = { contentLength, isChunked: coding !== undefined };
    if (announcesVoidBody(delivery.method, answer.statusCode ?? 0, announced))
      request.shouldKeepAlive = false;
    if (plan.hold) return this.#hold(exchange, request, answer, plan, plan.hold);
    const checking = rules.admit(delivery, plan);
    if (checking) await checking;
    if (plan.endless) {
      delivery.becomeEndless();
      exchange.response.becomeEndless?.();
    }
    this.#writeHead(exchange, answer, plan.binding);
    this.#stream(exchange, request, answer, plan);
  }

  async #hold(
    exchange: FullLaneExchange,
    request: ClientRequest,
    answer: IncomingMessage,
    plan: AnswerPlan,
    hold: HoldDecision,
  ): Promise<void> {
    const { rules, counters, spoolLimit } = this.#options;
    const { delivery, response } = exchange;
    const spooled = await spool(answer, spoolLimit);
    if (spooled.outcome === 'broken') {
      rules.brokenOff(plan);
      throw new StickshiftError('BACKEND_RESET', 'the backend broke off within its answer');
    }
    if (spooled.outcome === 'whole') {
      const binding = await rules.release(delivery, plan, hold);
      this.#writeHead(exchange, answer, binding, spooled.body.length);
      response.end(spooled.body);
      return;
    }
    // Too large to hold: the client gets it as it comes, and what it acknowledges is committed right behind it.
    counters.held.overflowed += 1;
    await rules.check(delivery, plan.binding.session !== delivery.route.session);
    this.#writeHead(exchange, answer, plan.binding);
    response.write(spooled.head);
    answer.once('end', () => rules.releaseLate(delivery, plan, hold));
    this.#stream(exchange, request, answer, plan);
  }

  #writeHead(
    { delivery, response }: FullLaneExchange,
    answer: IncomingMessage,
    binding: AnsweredBinding,
    length?: number,
  ): void {
    const { rules, counters } = this.#options;
    const headers = backendResponseHeaders(answer.rawHeaders);
    const cookie = rules.cookie(delivery, binding);
    if (cookie !== undefined) {
      headers.push('Set-Cookie', cookie);
      privateCacheControl(headers);
    }
    const status = answer.statusCode ?? 502;
    if (
      length !== undefined &&
      answer.headers['content-length'] === undefined &&
      mayHaveBody(delivery.method, status)
    ) {
      headers.push('Content-Length', String(length));
    }
    counters.countResponse(status);
    // The backend's own Date is passed on; a second one would be a lie.
    response.sendDate = answer.headers.date === undefined;
    response.writeHead(status, answer.statusMessage, headers);
  }

  #stream(
    { delivery, response }: FullLaneExchange,
    request: ClientRequest,
    answer: IncomingMessage,
    plan: AnswerPlan,
  ): void {
    answer.once('close', () => {
      if (answer.complete) return;
      // Ending it properly would pass a torn body off as a whole one.
      if (!response.destroyed) delivery.brokenOff();
      response.destroy();
    });
    answer.pipe(response);
    if (!response.becomeEndless || plan.endless) return;
    // A backend that waits for the client has not paused. Who watches the client sees to that.
    const untimed = () => request.setTimeout(0);
    if (answer.isPaused()) untimed();
    answer.on('pause', untimed);
    answer.on('resume', () => request.setTimeout(this.#options.idleTimeoutMs));
  }
}
