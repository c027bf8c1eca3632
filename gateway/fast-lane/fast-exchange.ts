import type { IncomingHttpHeaders } from 'node:http';
import { asStickshiftError, StickshiftError } from '../../protocol/errors.ts';
import type { AnswerPlan } from '../delivery/answer-rules.ts';
import type { Delivery, LaneRequest, Miss } from '../delivery/delivery.ts';
import { announcesVoidBody } from '../forwarding/response-headers.ts';
import type { Destination } from '../routing/destinations.ts';
import { RequestTrace } from '../tracing/request-trace.ts';
import { AnswerBody, framingOf } from './answer-body.ts';
import { AnswerWriter, type KeptHead } from './answer-writer.ts';
import type { BackendConnection, BackendUser } from './backend-connection.ts';
import type { ClientConnection } from './client-connection.ts';
import { forwardedHead } from './forwarded-head.ts';
import { END_OF_HEAD, mayBecomeHead } from './head-end.ts';
import type { LaneParts } from './lane-parts.ts';

/** Largest head of an answer, octets; as much as Node's client takes of one long header. */
const MOST_ANSWER_HEAD = 16 * 1024 + 24;
/** Up to here, a head and what there is of its body are sent as one string, which costs less than two writes. */
const SMALL = 16 * 1024;
const NOTHING = Buffer.alloc(0);

type Phase =
  /** Its session is being placed. */
  | 'placing'
  /** It is with a backend, or on its way there. */
  | 'sent'
  /** Its answer is being read, to be let out whole. */
  | 'holding'
  /** Its answer is here, and somebody has been asked whether it may go out. */
  | 'checking'
  | 'streaming'
  /** Its answer is out, and the rest of its body is still to come. */
  | 'answered'
  | 'over';

/** One request on its way through the fast lane, and its answer. */
export class FastExchange implements LaneRequest, BackendUser {
  /** When the lane loses patience, by its clock. */
  dueAt = Number.POSITIVE_INFINITY;
  /** Octets of the request's body that have not arrived. */
  bodyLeft: number;
  readonly #client: ClientConnection;
  readonly #parts: LaneParts;
  readonly #delivery: Delivery;
  readonly #writer: AnswerWriter;
  readonly #text: string;
  readonly #headEnd: number;
  readonly #hasBody: boolean;
  readonly #headers: IncomingHttpHeaders;
  #phase: Phase = 'placing';
  #connection: BackendConnection | undefined;
  /** What has arrived of the body, as long as it may have to be sent elsewhere. */
  #bodyKept: Buffer | undefined;
  /** Of the answer. */
  #partialHead: Buffer | undefined;
  #plan: AnswerPlan | undefined;
  #kept: KeptHead | undefined;
  #body: AnswerBody | undefined;
  #held: Buffer[] = [];
  #heldLength = 0;
  /** Came from the backend while the answer was being checked. */
  #late: Buffer[] = [];
  /** The backend's connection can have another request when this answer has been read. */
  #backendKeeps = false;
  #keepsForMs = Number.POSITIVE_INFINITY;
  /** The backend closed its connection while the answer was being checked. */
  #isCut = false;

  /**
   * @param text - begins with the head, which `parts.requestHeads` has just read
   * @param headEnd - where its last CRLF CRLF begins
   * @param bodyLeft - octets of the body that are not in `body`
   */
  constructor(
    client: ClientConnection,
    parts: LaneParts,
    text: string,
    headEnd: number,
    bodyLeft: number,
    body: Buffer | undefined,
  ) {
    const { method, headers, keepAlive } = parts.requestHeads;
    this.#client = client;
    this.#parts = parts;
    this.#text = text;
    this.#headEnd = headEnd;
    this.bodyLeft = bodyLeft;
    this.#bodyKept = body;
    this.#hasBody = bodyLeft > 0 || body !== undefined;
    this.#headers = headers;
    this.#delivery = parts.deliveries.begin(method, new RequestTrace(method, parts.requestHeads), this);
    this.#writer = new AnswerWriter(
      client.socket,
      parts,
      this.#delivery,
      keepAlive && !parts.deliveries.stopping,
    );
  }

  /** To be called while `parts.requestHeads` has this request's head. */
  begin(): void {
    const { trace } = this.#delivery;
    if (trace.isActive) this.#begin();
    else trace.run(() => this.#begin());
  }

  #begin(): void {
    try {
      this.#delivery.begin(this.#parts.requestHeads, this.#client.client(this.#headers).encrypted);
      this.#choose();
    } catch (error) {
      this.fail(asStickshiftError(error));
    }
  }

  // The request

  #choose(): void {
    const destination = this.#delivery.next();
    if (!(destination instanceof Promise)) {
      this.#depart(destination);
      return;
    }
    this.#phase = 'placing';
    this.dueAt = Number.POSITIVE_INFINITY;
    if (this.bodyLeft > 0) this.#client.pause();
    this.#after(destination, (placed) => {
      // Other heads have been read since.
      this.#parts.requestHeads.read(this.#text, this.#headEnd);
      this.#depart(placed);
    });
  }

  #depart(destination: Destination): void {
    const { requestHeads, backends } = this.#parts;
    const forwarded: IncomingHttpHeaders = { cookie: this.#client.withoutAffinity(this.#headers.cookie) };
    const { peerTrusted } = this.#client.client(this.#headers);
    const description = this.#client.describe(forwarded, this.#headers);
    this.#delivery.depart(destination, forwarded);
    const head = forwardedHead(requestHeads, this.#text, description, peerTrusted, forwarded);
    this.#phase = 'sent';
    const connection = backends.take(destination.backend, this);
    this.#connection = connection;
    const { socket, isConnected } = connection;
    const body = this.#bodyKept;
    if (!body) {
      socket.write(head, 'latin1');
    } else if (head.length + body.length <= SMALL) {
      socket.write(head + body.toString('latin1'), 'latin1');
    } else {
      socket.cork();
      socket.write(head, 'latin1');
      socket.write(body);
      socket.uncork();
    }
    if (isConnected) this.connected();
    else if (this.bodyLeft > 0) this.#client.pause();
    this.#waitForBackend();
  }

  connected(): void {
    this.#bodyKept = undefined;
    if (this.bodyLeft > 0) this.#client.resume();
    this.#waitForBackend();
  }

  requestBytes(piece: Buffer): void {
    this.bodyLeft -= piece.length;
    const connection = this.#connection;
    if (connection?.isConnected) {
      if (!connection.socket.write(piece)) this.#client.pause();
      if (this.#phase === 'answered' && this.bodyLeft === 0) this.#finish();
      else if (this.#phase === 'sent' || this.#phase === 'answered') this.#waitForBackend();
      return;
    }
    // It was on its way when the client was paused.
    this.#bodyKept = this.#bodyKept ? Buffer.concat([this.#bodyKept, piece]) : piece;
    connection?.socket.write(piece);
  }

  backendDrained(): void {
    if (this.bodyLeft > 0) this.#client.resume();
  }

  backendClosed(cause: Error | undefined): void {
    const connection = this.#connection;
    this.#connection = undefined;
    if (!connection) return;
    if (this.#phase === 'checking') {
      this.#isCut = true;
    } else if (this.#phase === 'answered') {
      this.#finish();
    } else if (this.#phase !== 'sent') {
      this.#breakOff();
    } else if (!connection.isConnected) {
      const error = asStickshiftError(cause ?? new Error('the connection was closed'), 'CONNECT_FAILED');
      this.#missed({ kind: 'not-connected', error });
    } else if (!this.#partialHead && this.#delivery.mayRepeat(connection.isReused, this.#hasBody)) {
      this.#parts.backends.dropIdle(connection.backend);
      this.#missed({ kind: 'stale' });
    } else {
      const error = asStickshiftError(cause ?? new Error('the backend hung up'), 'BACKEND_RESET');
      this.#missed({ kind: 'failed', error });
    }
  }

  #missed(miss: Miss): void {
    this.#dropConnection();
    this.#delivery.trace.run(() => {
      try {
        this.#delivery.missed(miss);
        this.#parts.requestHeads.read(this.#text, this.#headEnd);
        this.#choose();
      } catch (error) {
        this.fail(asStickshiftError(error));
      }
    });
  }

  // The answer

  answerBytes(piece: Buffer): void {
    try {
      this.#take(piece);
    } catch (error) {
      this.fail(asStickshiftError(error));
    }
  }

  #take(piece: Buffer): void {
    switch (this.#phase) {
      case 'sent':
        this.#readHead(piece);
        break;
      case 'checking':
        this.#late.push(Buffer.from(piece));
        break;
      case 'streaming':
        this.#stream('', piece, 0);
        break;
      case 'holding':
        this.#hold(piece, 0);
        break;
      case 'answered':
        // Whatever that is, nobody has asked for it.
        this.#backendKeeps = false;
        this.#finish();
        break;
    }
  }

  backendEnded(): void {
    if (this.#phase === 'answered') this.#finish();
    // An answer without a length ends here, and only so.
    if (this.#body?.framing !== 'close') return;
    this.#body.close();
    if (this.#phase === 'streaming') this.#stream('', NOTHING, 0);
    else if (this.#phase === 'holding') this.#hold(NOTHING, 0);
  }

  clientDrained(): void {
    if (this.#phase === 'streaming') this.#connection?.socket.resume();
  }

  #readHead(piece: Buffer): void {
    const { answerHeads } = this.#parts;
    const bytes = this.#partialHead ? Buffer.concat([this.#partialHead, piece]) : piece;
    this.#partialHead = undefined;
    for (let at = 0; at < bytes.length; ) {
      const text = bytes.toString('latin1', at, Math.min(bytes.length, at + MOST_ANSWER_HEAD));
      const end = text.indexOf(END_OF_HEAD);
      if (end === -1 && text.length < MOST_ANSWER_HEAD && mayBecomeHead(text)) {
        this.#partialHead = Buffer.from(bytes.subarray(at));
        return;
      }
      if (end === -1 || !answerHeads.read(text, end) || answerHeads.status === 101) {
        const error = new StickshiftError('BACKEND_INVALID', 'the answer is not HTTP/1.1');
        this.#missed({ kind: 'failed', error });
        return;
      }
      at += end + END_OF_HEAD.length;
      if (answerHeads.status >= 200) {
        this.#answered(text, bytes, at);
        return;
      }
    }
  }

  /** @param bodyStart - in `bytes` */
  #answered(text: string, bytes: Buffer, bodyStart: number): void {
    const { answerHeads, rules } = this.#parts;
    const delivery = this.#delivery;
    const { status } = answerHeads;
    delivery.answered(status);
    const plan = rules.plan(delivery, answerHeads);
    this.#plan = plan;
    const framing = framingOf(delivery.method, answerHeads);
    this.#backendKeeps = answerHeads.keepAlive && !announcesVoidBody(delivery.method, status, answerHeads);
    this.#keepsForMs = answerHeads.keepsForMs;
    this.#body = new AnswerBody(framing, answerHeads.contentLength ?? 0, plan.hold ? 'data' : 'frames');
    if (plan.hold) {
      this.#keepHead(text);
      this.#phase = 'holding';
      this.#hold(bytes, bodyStart);
      return;
    }
    const checking = rules.check(delivery, plan.namesSession);
    if (checking) {
      this.#keepHead(text);
      this.#late.push(Buffer.from(bytes.subarray(bodyStart)));
      this.#pauseFor(checking, () => this.#letOut(plan));
      return;
    }
    if (plan.endless) delivery.becomeEndless();
    this.#phase = 'streaming';
    const cookie = rules.cookie(delivery, plan.binding);
    const head =
      cookie === undefined
        ? this.#writer.plainHead(text)
        : this.#writer.headWith(this.#keepHead(text), cookie, framing);
    this.#stream(head, bytes, bodyStart);
  }

  #keepHead(text: string): KeptHead {
    const { status, reason } = this.#parts.answerHeads;
    this.#kept = { status, reason, rawHeaders: this.#parts.answerHeads.rawHeaders(text) };
    return this.#kept;
  }

  /** The answer waits, and so does the backend with the rest of it. */
  #pauseFor(asked: Promise<void>, proceed: () => void): void {
    this.#phase = 'checking';
    this.dueAt = Number.POSITIVE_INFINITY;
    this.#connection?.socket.pause();
    this.#after(asked, proceed);
  }

  /** An answer that is not held, once it has been found to be good. */
  #letOut(plan: AnswerPlan): void {
    const { kept, body } = this.#answer();
    if (plan.endless) this.#delivery.becomeEndless();
    const cookie = this.#parts.rules.cookie(this.#delivery, plan.binding);
    this.#goOn(this.#writer.headWith(kept, cookie, body.framing));
  }

  /** What has come meanwhile follows, and then what is still to come. */
  #goOn(head: string): void {
    this.#phase = 'streaming';
    const late = Buffer.concat(this.#late);
    this.#late = [];
    this.#stream(head, late, 0);
    if (this.#phase !== 'streaming') return;
    if (this.#isCut) this.#breakOff();
    else this.#connection?.socket.resume();
  }

  #stream(head: string, piece: Buffer, start: number): void {
    const body = this.#body;
    if (!body) return;
    const end = body.take(piece, start);
    const isDone = body.state === 'done';
    const flows = this.#writer.write(head, piece, body.ranges, isDone);
    if (body.state === 'invalid') {
      this.#breakOff();
    } else if (isDone) {
      if (end < piece.length) this.#backendKeeps = false;
      this.#done();
    } else {
      if (!flows) this.#connection?.socket.pause();
      this.#waitForMore();
    }
  }

  #hold(piece: Buffer, start: number): void {
    const body = this.#body;
    if (!body) return;
    const end = body.take(piece, start);
    for (let index = 0; index < body.ranges.length; index += 2) {
      const part = Buffer.from(piece.subarray(body.ranges[index], body.ranges[index + 1]));
      this.#held.push(part);
      this.#heldLength += part.length;
    }
    if (body.state === 'invalid') {
      this.#breakOff();
    } else if (this.#heldLength > this.#parts.spoolLimit) {
      this.#overflow();
    } else if (body.state === 'done') {
      if (end < piece.length) this.#backendKeeps = false;
      this.#release();
    } else {
      this.#waitForMore();
    }
  }

  /** All of a held answer is here. */
  #release(): void {
    const { plan } = this.#answer();
    if (!plan.hold) return;
    this.#giveConnectionBack();
    this.#phase = 'checking';
    this.dueAt = Number.POSITIVE_INFINITY;
    this.#after(this.#parts.rules.release(this.#delivery, plan, plan.hold), (binding) => {
      const { kept } = this.#answer();
      const bytes = Buffer.concat(this.#held);
      this.#held = [];
      const cookie = this.#parts.rules.cookie(this.#delivery, binding);
      const head = this.#writer.headWith(kept, cookie, 'length', bytes.length);
      this.#writer.write(head, bytes, [0, bytes.length], true);
      this.#done();
    });
  }

  /** Too large to hold: the client gets it as it comes, and what it acknowledges is committed right behind it. */
  #overflow(): void {
    const { rules, counters } = this.#parts;
    const { plan } = this.#answer();
    counters.held.overflowed += 1;
    const retires = plan.binding.session !== this.#delivery.route.session;
    this.#pauseFor(rules.check(this.#delivery, retires) ?? Promise.resolve(), () => {
      const { kept, body } = this.#answer();
      const bytes = Buffer.concat(this.#held);
      this.#held = [];
      const head = this.#writer.headWith(kept, rules.cookie(this.#delivery, plan.binding), body.framing);
      if (body.framing === 'chunks') this.#writer.makeChunks();
      this.#writer.write(head, bytes, [0, bytes.length], false);
      this.#goOn('');
    });
  }

  /** It is with the client's connection. */
  #done(): void {
    const { deliveries, rules } = this.#parts;
    const plan = this.#plan;
    if (plan?.hold && this.#heldLength > this.#parts.spoolLimit) {
      rules.releaseLate(this.#delivery, plan, plan.hold);
    }
    deliveries.end(this.#delivery, this.#writer.status, true);
    if (this.bodyLeft > 0 && this.#connection && this.#writer.keepAlive && this.#backendKeeps) {
      // The backend has said early what it had to say. It may read on, and if it does, its connection is good for more.
      this.#phase = 'answered';
      this.#waitForBackend();
      return;
    }
    this.#finish();
  }

  #finish(): void {
    this.#giveConnectionBack();
    this.#phase = 'over';
    this.#client.exchangeOver(this.#writer.keepAlive, this.bodyLeft);
  }

  /** What has been read of an answer that was not let out at once. */
  #answer(): { readonly plan: AnswerPlan; readonly kept: KeptHead; readonly body: AnswerBody } {
    const [plan, kept, body] = [this.#plan, this.#kept, this.#body];
    if (!plan || !kept || !body) throw new StickshiftError('INTERNAL', 'no answer has been read');
    return { plan, kept, body };
  }

  // When it does not go well

  /** The backend does not finish its answer. */
  #breakOff(): void {
    const { rules } = this.#parts;
    if (this.#phase === 'holding') {
      if (this.#plan) rules.brokenOff(this.#plan);
      this.fail(new StickshiftError('BACKEND_RESET', 'the backend broke off within its answer'));
      return;
    }
    this.#delivery.brokenOff();
    this.cut();
  }

  late(): void {
    this.dueAt = Number.POSITIVE_INFINITY;
    if (this.#phase === 'answered') {
      this.cut();
    } else if (this.#phase !== 'sent') {
      this.#breakOff();
    } else if (!this.#connection?.isConnected) {
      const error = new StickshiftError('CONNECT_TIMEOUT', 'no connection in time');
      this.#missed({ kind: 'not-connected', error });
    } else if (this.#waitsForClient) {
      this.fail(new StickshiftError('REQUEST_TIMEOUT', 'the request body paused for too long'));
    } else {
      this.#missed({
        kind: 'failed',
        error: new StickshiftError('BACKEND_TIMEOUT', 'no first byte in time'),
      });
    }
  }

  fail(failure: StickshiftError): void {
    if (this.#phase === 'over') return;
    const answer = this.#delivery.failed(failure, this.#headers.accept);
    if (this.#writer.status !== undefined) {
      this.cut();
      return;
    }
    this.#dropConnection();
    this.#phase = 'over';
    // A body that nobody has read is not worth waiting for, and a head that was refused may be followed by what was meant to be read
    // as another request.
    if (this.bodyLeft > 0 || this.#bodyKept || answer.status === 400) this.#writer.keepAlive = false;
    this.#writer.error(answer);
    this.#parts.deliveries.end(this.#delivery, answer.status, true);
    this.#client.exchangeOver(this.#writer.keepAlive, this.bodyLeft);
  }

  closeAfter(): void {
    this.#writer.keepAlive = false;
  }

  cut(): void {
    this.clientGone();
    this.#client.socket.destroy();
  }

  clientGone(): void {
    if (this.#phase === 'over') return;
    this.#phase = 'over';
    this.#dropConnection();
    this.#parts.deliveries.end(this.#delivery, this.#writer.status, false);
  }

  /** Goes on with what `asked` says, unless the client is gone by then. */
  #after<T>(asked: Promise<T>, proceed: (answer: T) => void): void {
    asked.then(
      (answer) =>
        this.#delivery.trace.run(() => {
          if (this.#phase === 'over') return;
          try {
            proceed(answer);
          } catch (error) {
            this.fail(asStickshiftError(error));
          }
        }),
      (error: unknown) => this.fail(asStickshiftError(error)),
    );
  }

  #giveConnectionBack(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    if (!connection) return;
    if (this.#backendKeeps && this.bodyLeft === 0) {
      this.#parts.backends.giveBack(connection, this.#keepsForMs);
      return;
    }
    connection.destroy();
  }

  #dropConnection(): void {
    this.#connection?.destroy();
    this.#connection = undefined;
  }

  // How long

  get #waitsForClient(): boolean {
    return this.bodyLeft > 0 && !this.#client.socket.isPaused();
  }

  #waitForBackend(): void {
    const { clock, timeouts } = this.#parts;
    const { connect, body, firstByte } = timeouts;
    const isConnected = this.#connection?.isConnected ?? false;
    this.dueAt = clock.in(isConnected ? (this.#waitsForClient ? body : firstByte) : connect);
  }

  #waitForMore(): void {
    const { clock, timeouts } = this.#parts;
    this.dueAt = this.#plan?.endless ? Number.POSITIVE_INFINITY : clock.in(timeouts.idle);
  }
}
