import type { IncomingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import { StickshiftError } from '../../protocol/errors.ts';
import { isClientClaim } from '../forwarding/client-claims.ts';
import { type Client, describeClient } from '../forwarding/request-headers.ts';
import { FastExchange } from './fast-exchange.ts';
import { END_OF_HEAD, mayBecomeHead } from './head-end.ts';
import type { Waiting } from './lane-clock.ts';
import type { LaneParts } from './lane-parts.ts';
import { RepeatedHead } from './repeated-head.ts';

/** A head is looked for in so many octets first; nearly all are shorter. */
const USUAL_HEAD = 4 * 1024;
/** Octets behind the request under way that are read ahead, at most. */
const READ_AHEAD = 64 * 1024;

const CONNECTION = Symbol('the connection that a socket is of');

interface ClientSocket extends Socket {
  [CONNECTION]?: ClientConnection;
}

// One function for all connections: ten thousand idle ones would have ten thousand of each.
const LISTENERS: Readonly<Record<string, (this: ClientSocket, chunk: Buffer) => void>> = {
  data(chunk) {
    this[CONNECTION]?.received(chunk);
  },
  drain() {
    this[CONNECTION]?.drained();
  },
  end() {
    this[CONNECTION]?.ended();
  },
  close() {
    this[CONNECTION]?.closed();
  },
  error() {
    // `close` follows.
  },
};

/** A client's connection while the lane has it: one request after the other, in order. */
export class ClientConnection implements Waiting {
  readonly socket: ClientSocket;
  /** Of the request that has to arrive, or of the connection itself; see {@link FastExchange.dueAt} for one under way. */
  #waitsUntil: number;
  readonly #parts: LaneParts;
  readonly #left: (connection: ClientConnection) => void;
  #exchange: FastExchange | undefined;
  /** Read, and not used yet. */
  #ahead: Buffer | undefined;
  /** Octets of a request's body that nobody waits for any more. */
  #toDiscard = 0;
  #isProceeding = false;
  #isClosing = false;
  #hasSent = false;
  /** Octets that the client had not taken when that was looked at last. */
  #unsent = 0;
  /** A request of it was read before. */
  #hasServed = false;
  /** The head of the request under way, as far as the next one may repeat it. */
  repeated: RepeatedHead | undefined;
  #client: Client | undefined;
  /** Lines that tell an app of this client, and the Host that they were made for. */
  #description = '';
  #describedHost: string | undefined;
  /** The last request's, and what is left of it without affinity cookies. */
  #cookie: string | undefined;
  #appCookie: string | undefined;

  /** @param left - called when the lane has no more to do with it */
  constructor(socket: Socket, parts: LaneParts, left: (connection: ClientConnection) => void) {
    this.socket = socket;
    this.#parts = parts;
    this.#left = left;
    this.#waitsUntil = parts.clock.in(parts.timeouts.head);
    this.socket[CONNECTION] = this;
    for (const event in LISTENERS) socket.on(event, LISTENERS[event] as () => void);
    parts.clock.add(this);
  }

  get dueAt(): number {
    return this.#exchange ? this.#exchange.dueAt : this.#waitsUntil;
  }

  late(): void {
    if (this.#exchange) {
      this.#exchange.late();
    } else if (!this.#isStillTaking()) {
      if (this.#isClosing || this.#toDiscard > 0 || (this.#hasSent && !this.#ahead)) this.socket.destroy();
      else this.#refuseHead();
    }
  }

  /** Ends, if it is idle and has not been handed over. */
  stop(): void {
    if (!this.#exchange && !this.#isClosing) this.#end();
  }

  /** Whether the client takes what it has been sent; if it does, it has time for more of it. */
  #isStillTaking(): boolean {
    const { clock, timeouts } = this.#parts;
    const before = this.#unsent;
    this.#unsent = this.socket.writableLength;
    if (this.#unsent > 0) {
      this.#waitsUntil = clock.in(timeouts.idle);
      return this.#unsent !== before;
    }
    if (before === 0 || this.#isClosing) return false;
    // It has all of it now, and may send something else.
    this.#waitsUntil = this.#idleUntil();
    return true;
  }

  #idleUntil(): number {
    const { clock, timeouts } = this.#parts;
    // As for Node, 0 is no limit.
    return timeouts.keepAlive > 0 ? clock.in(timeouts.keepAlive) : Number.POSITIVE_INFINITY;
  }

  #refuseHead(): void {
    this.#isClosing = true;
    this.#leave();
    const failure = new StickshiftError('REQUEST_TIMEOUT', 'the head did not arrive in time');
    this.#parts.refuse(this.socket, failure);
  }

  #end(): void {
    const { clock, timeouts } = this.#parts;
    this.#isClosing = true;
    this.#ahead = undefined;
    this.#unsent = this.socket.writableLength;
    this.#waitsUntil = clock.in(timeouts.idle);
    this.socket.destroySoon();
    // Read on: with octets of its own unread, the client might be told of a reset and not of its answer.
    this.resume();
  }

  /** Who sends the request that was read last. */
  client(headers: IncomingHttpHeaders): Client {
    if (this.#client && !this.#client.peerTrusted) return this.#client;
    this.#client = this.#parts.headers.client({ headers, socket: this.socket });
    return this.#client;
  }

  /** Of a request's Cookie header, what an app is to see. */
  withoutAffinity(cookie: string | undefined): string | undefined {
    // A client sends the same cookies again and again.
    if (cookie !== undefined && cookie !== this.#cookie) {
      this.#cookie = cookie;
      this.#appCookie = this.#parts.headers.withoutAffinity(cookie);
    }
    return cookie === undefined ? undefined : this.#appCookie;
  }

  /**
   * Tells a backend of this client: in the lines that it returns, or, where a trusted proxy may have said more of it, in `forwarded`.
   *
   * @param headers - of the request, those that decisions read
   */
  describe(forwarded: IncomingHttpHeaders, headers: IncomingHttpHeaders): string {
    const client = this.client(headers);
    const { host } = headers;
    if (client.peerTrusted) {
      for (const name in headers) if (isClientClaim(name)) forwarded[name] = headers[name];
      describeClient(forwarded, client, host);
      return '';
    }
    if (this.#describedHost !== host) {
      const description: IncomingHttpHeaders = {};
      describeClient(description, client, host);
      this.#description = '';
      for (const name in description) this.#description += `${name}: ${description[name]}\r\n`;
      this.#describedHost = host;
    }
    return this.#description;
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    if (this.socket.isPaused()) this.socket.resume();
  }

  /**
   * The request under way is over.
   *
   * @param keep - another one may follow
   * @param bodyLeft - octets of its body that have not arrived
   */
  exchangeOver(keep: boolean, bodyLeft: number): void {
    const { clock, timeouts, deliveries } = this.#parts;
    this.#exchange = undefined;
    this.#hasSent = true;
    if (!keep || deliveries.stopping) {
      this.#end();
      return;
    }
    this.#toDiscard = bodyLeft;
    this.#unsent = this.socket.writableLength;
    if (bodyLeft > 0) this.#waitsUntil = clock.in(timeouts.body);
    else this.#waitsUntil = this.#unsent > 0 ? clock.in(timeouts.idle) : this.#idleUntil();
    this.#proceed();
    this.regulate();
  }

  /** Reads on, or does not, while no body is to come. */
  regulate(): void {
    // With a body to come, the exchange says when.
    if (this.#isClosing) return;
    if (this.#exchange && this.#exchange.bodyLeft > 0) return;
    const isBusy = this.#exchange !== undefined || this.socket.writableNeedDrain;
    if (isBusy && this.#ahead && this.#ahead.length > READ_AHEAD) this.pause();
    else this.resume();
  }

  received(chunk: Buffer): void {
    if (this.#isClosing) return;
    let rest = chunk;
    const exchange = this.#exchange;
    if (exchange && exchange.bodyLeft > 0) {
      const { bodyLeft } = exchange;
      if (chunk.length <= bodyLeft) {
        exchange.requestBytes(chunk);
        return;
      }
      exchange.requestBytes(chunk.subarray(0, bodyLeft));
      rest = chunk.subarray(bodyLeft);
    } else if (this.#toDiscard > 0) {
      const discarded = Math.min(this.#toDiscard, chunk.length);
      this.#toDiscard -= discarded;
      const { clock, timeouts } = this.#parts;
      this.#waitsUntil = this.#toDiscard > 0 ? clock.in(timeouts.body) : this.#idleUntil();
      if (discarded === chunk.length) return;
      rest = chunk.subarray(discarded);
    }
    this.#ahead = this.#ahead ? Buffer.concat([this.#ahead, rest]) : rest;
    this.#proceed();
    this.regulate();
  }

  /** Begins the requests that have been read, until one is under way. */
  #proceed(): void {
    // A request that fails at once is over before this returns to it.
    if (this.#isProceeding) return;
    this.#isProceeding = true;
    while (
      this.#ahead &&
      !this.#exchange &&
      !this.#isClosing &&
      this.#toDiscard === 0 &&
      // Whoever does not read its answers gets no more of them.
      !this.socket.writableNeedDrain
    ) {
      if (!this.#begin(this.#ahead)) break;
    }
    this.#isProceeding = false;
  }

  /** False when there is no whole head, or nothing more for this lane. */
  #begin(bytes: Buffer): boolean {
    const { requestHeads, headLimit, clock, timeouts } = this.#parts;
    let text = bytes.toString('latin1', 0, Math.min(bytes.length, USUAL_HEAD));
    let end = text.indexOf(END_OF_HEAD);
    if (end === -1 && bytes.length > USUAL_HEAD) {
      text = bytes.toString('latin1', 0, Math.min(bytes.length, headLimit + END_OF_HEAD.length));
      end = text.indexOf(END_OF_HEAD);
    }
    if (end === -1 && text.length <= headLimit && mayBecomeHead(text)) {
      // The first octets of a head on a kept connection: from now on it has to hurry.
      if (this.#hasSent) this.#waitsUntil = clock.in(timeouts.head);
      this.#hasSent = false;
      return false;
    }
    if (end === -1 || end > headLimit || !requestHeads.read(text, end, this.repeated?.fields)) {
      this.#handOver(bytes);
      return false;
    }
    // From the second request on: of one that never comes, an idle connection would keep all this.
    if (this.#hasServed && !requestHeads.isRepeated) {
      this.repeated = new RepeatedHead(requestHeads.fields(text, end));
    }
    this.#hasServed = true;
    const bodyStart = end + END_OF_HEAD.length;
    const length = Math.max(0, requestHeads.contentLength);
    const bodyEnd = Math.min(bytes.length, bodyStart + length);
    this.#ahead = bodyEnd < bytes.length ? bytes.subarray(bodyEnd) : undefined;
    const body = bodyEnd > bodyStart ? bytes.subarray(bodyStart, bodyEnd) : undefined;
    const exchange = new FastExchange(this, this.#parts, text, end, length - (bodyEnd - bodyStart), body);
    this.#exchange = exchange;
    exchange.begin();
    return true;
  }

  #handOver(bytes: Buffer): void {
    this.#isClosing = true;
    this.#ahead = undefined;
    this.#leave();
    this.#parts.handOver(this.socket, bytes);
  }

  #leave(): void {
    this.#parts.clock.delete(this);
    this.#left(this);
    delete this.socket[CONNECTION];
    for (const event in LISTENERS) this.socket.off(event, LISTENERS[event] as () => void);
  }

  drained(): void {
    this.#exchange?.clientDrained();
    this.#proceed();
    this.regulate();
  }

  ended(): void {
    // Half a connection is none, as for the full lane: whoever goes away does not wait for an answer.
    if (this.#exchange) this.socket.destroy();
    else this.socket.destroySoon();
  }

  closed(): void {
    this.#isClosing = true;
    this.#parts.clock.delete(this);
    this.#left(this);
    this.#exchange?.clientGone();
    this.#exchange = undefined;
    this.#ahead = undefined;
  }
}
