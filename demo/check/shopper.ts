import { Agent, type IncomingMessage, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseSetCookie, stringifyCookie } from 'cookie';
import type { ShopAnswer } from '../shop/api.ts';
import { type AddOutcome, CartLedger } from './cart-ledger.ts';
import type { Call } from './move-watch.ts';

/** Sums over all clients. */
export interface Tally {
  requests: number;
  /** Every answer of 500 and above, also those that a retry made good. */
  errors5xx: number;
  /** Requests that got no answer: refused, reset, timed out. */
  connectionErrors: number;
}

export interface ShopperOptions {
  readonly name: string;
  readonly shopUrl: string;
  readonly tally: Tally;
  readonly onCall: (call: Call) => void;
}

interface Exchange {
  /** Undefined when there was no answer. */
  readonly status: number | undefined;
  readonly answer: ShopAnswer | undefined;
  readonly retryAfterMs: number;
}

const ANSWER_WITHIN_MS = 10_000;
const LOOK_TRIES = 20;
const LONGEST_RETRY_PAUSE_MS = 1_000;
const RETRY_PAUSE_MS = 100;

/**
 * A customer with a browser's manners: one kept-alive connection, a cookie jar, one request at a time. Reading is
 * repeated when it fails, as by somebody who reloads; adding is not, for it may have been carried out.
 */
export class Shopper {
  readonly name: string;
  readonly ledger = new CartLedger();
  /** Server that gave the last good answer. */
  server: string | undefined;
  /** Name under which the shop knows this customer, once a login was acknowledged. */
  customer: string | null = null;

  readonly #options: ShopperOptions;
  readonly #connections = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #cookies = new Map<string, string>();
  #added = 0;
  /** A login got no answer, and may have been carried out. */
  #mayBeLoggedIn = false;

  constructor(options: ShopperOptions) {
    this.name = options.name;
    this.#options = options;
  }

  async add(): Promise<AddOutcome> {
    const id = `${this.name}-${++this.#added}`;
    const { status } = await this.#exchange('POST', '/api/cart/items', { id, name: `Item ${this.#added}` });
    const outcome = outcomeOf(status);
    this.ledger.record(id, outcome);
    return outcome;
  }

  /** Gets a new session ID on the way. */
  async logIn(): Promise<boolean> {
    const { status } = await this.#exchange('POST', '/api/login', { name: this.name });
    const outcome = outcomeOf(status);
    if (outcome === 'indeterminate') this.#mayBeLoggedIn = true;
    if (outcome !== 'acknowledged') return false;
    this.customer = this.name;
    return true;
  }

  /** The shop's view of the session; undefined when it could not be had in {@link LOOK_TRIES} tries. */
  async look(): Promise<ShopAnswer | undefined> {
    for (let attempt = 1; attempt <= LOOK_TRIES; attempt++) {
      const { answer, retryAfterMs } = await this.#exchange('GET', '/api/cart');
      if (answer) return answer;
      await sleep(retryAfterMs);
    }
    return undefined;
  }

  /** What is wrong with the session as the shop shows it, in words; empty when nothing is. */
  async audit(): Promise<string[]> {
    const answer = await this.look();
    if (!answer) return ['the cart could not be read'];
    const problems = this.ledger.audit(answer.cart.map((item) => item.id));
    const isAsAcknowledged = answer.customer === this.customer;
    const isAsAsked = this.#mayBeLoggedIn && answer.customer === this.name;
    if (!isAsAcknowledged && !isAsAsked) problems.push(`the login is ${answer.customer}`);
    return problems;
  }

  leave(): void {
    this.#connections.destroy();
  }

  async #exchange(method: string, path: string, body?: object): Promise<Exchange> {
    const { tally, onCall } = this.#options;
    const startedAt = performance.now();
    const exchange = await this.#send(method, path, body);
    tally.requests += 1;
    if (exchange.status === undefined) tally.connectionErrors += 1;
    else if (exchange.status >= 500) tally.errors5xx += 1;
    const server = exchange.answer?.server;
    if (server) this.server = server;
    onCall({ client: this.name, startedAt, endedAt: performance.now(), server });
    return exchange;
  }

  #send(method: string, path: string, body?: object): Promise<Exchange> {
    return new Promise((resolve) => {
      const noAnswer = () => resolve({ status: undefined, answer: undefined, retryAfterMs: RETRY_PAUSE_MS });
      const payload = body && JSON.stringify(body);
      const outgoing = request(new URL(path, this.#options.shopUrl), {
        method,
        agent: this.#connections,
        signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
        headers: {
          ...(this.#cookies.size > 0
            ? { cookie: stringifyCookie(Object.fromEntries(this.#cookies), { encode: asItIs }) }
            : {}),
          ...(payload
            ? { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }
            : {}),
        },
      });
      outgoing.on('error', noAnswer);
      outgoing.on('response', (incoming) => {
        readAnswer(incoming).then((exchange) => {
          this.#keepCookies(incoming);
          resolve(exchange);
        }, noAnswer);
      });
      outgoing.end(payload);
    });
  }

  #keepCookies(incoming: IncomingMessage): void {
    for (const line of incoming.headers['set-cookie'] ?? []) {
      const { name, value, expires, maxAge } = parseSetCookie(line, { decode: asItIs });
      const gone = (maxAge !== undefined && maxAge <= 0) || (expires && expires.getTime() <= Date.now());
      if (gone || value === undefined) this.#cookies.delete(name);
      else this.#cookies.set(name, value);
    }
  }
}

/** A jar gives back what it was given. */
const asItIs = (value: string) => value;

function outcomeOf(status: number | undefined): AddOutcome {
  if (status === undefined || status >= 500) return 'indeterminate';
  return status < 300 ? 'acknowledged' : 'refused';
}

async function readAnswer(incoming: IncomingMessage): Promise<Exchange> {
  let text = '';
  for await (const chunk of incoming.setEncoding('utf8')) text += chunk;
  const status = incoming.statusCode ?? 0;
  const retryAfter = Number(incoming.headers['retry-after'] ?? Number.NaN) * 1000;
  return {
    status,
    answer: status >= 200 && status < 300 ? (JSON.parse(text) as ShopAnswer) : undefined,
    retryAfterMs: Number.isFinite(retryAfter) ? Math.min(retryAfter, LONGEST_RETRY_PAUSE_MS) : RETRY_PAUSE_MS,
  };
}
