import type { IncomingHttpHeaders } from 'node:http';
import { asStickshiftError, StickshiftError } from '../../protocol/errors.ts';
import type { Delivery, LaneRequest, Miss } from '../delivery/delivery.ts';
import type { Destination } from '../routing/destinations.ts';
import { RequestTrace } from '../tracing/request-trace.ts';
import { type AnswerOwner, AnswerTransfer } from './answer-transfer.ts';
import { AnswerWriter } from './answer-writer.ts';
import type { BackendConnection, BackendUser } from './backend-connection.ts';
import type { ClientConnection } from './client-connection.ts';
import { forwardedHead } from './forwarded-head.ts';
import { END_OF_HEAD, mayBecomeHead } from './head-end.ts';
import type { LaneParts } from './lane-parts.ts';

/** Largest head of an answer, octets; as much as Node's client takes of one long header. */
const MOST_ANSWER_HEAD = 16 * 1024 + 24;
/** Up to here, a head and what there is of its body are sent as one string, which costs less than two writes. */
const SMALL = 16 * 1024;

type Phase =
  /** Its session is being placed. */
  | 'placing'
  /** It is with a backend, or on its way there. */
  | 'sent'
  /** Its answer is on its way. */
  | 'answering'
  /** Its answer is out, and the rest of its body is still to come. */
  | 'answered'
  | 'over';

/** One request on its way through the fast lane, and its answer. */
export class FastExchange implements LaneRequest, BackendUser, AnswerOwner {
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
  #answer: AnswerTransfer | undefined;

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
    const { backends } = this.#parts;
    const forwarded: IncomingHttpHeaders = { cookie: this.#client.withoutAffinity(this.#headers.cookie) };
    const { peerTrusted } = this.#client.client(this.#headers);
    const description = this.#client.describe(forwarded, this.#headers);
    this.#delivery.depart(destination, forwarded);
    const head = this.#forwardedHead(description, peerTrusted, forwarded);
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

  #forwardedHead(description: string, peerTrusted: boolean, forwarded: IncomingHttpHeaders): string {
    const { requestHeads } = this.#parts;
    const { repeated } = this.#client;
    const { method } = this.#delivery;
    const text = this.#text;
    const fields = repeated?.forwarded(method, description, forwarded);
    if (fields !== undefined) return text.slice(0, requestHeads.lineEnd) + fields;
    if (requestHeads.isRepeated) requestHeads.read(text, this.#headEnd);
    const head = forwardedHead(requestHeads, text, description, peerTrusted, forwarded);
    repeated?.note(method, description, forwarded, head.slice(requestHeads.lineEnd));
    return head;
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
    // Its answer is here already, or it has none to expect: nobody reads this.
    if (this.#phase !== 'placing' && this.#phase !== 'sent') return;
    // It was on its way when the client was paused.
    this.#bodyKept = this.#bodyKept ? Buffer.concat([this.#bodyKept, piece]) : piece;
    connection?.socket.write(piece);
  }

  backendDrained(): void {
    if (this.bodyLeft > 0) this.#client.resume();
    else this.#client.regulate();
  }

  backendClosed(cause: Error | undefined): void {
    const connection = this.#connection;
    this.#connection = undefined;
    if (!connection) return;
    if (this.#phase === 'answered') {
      this.#finish();
    } else if (this.#phase === 'answering') {
      this.#answer?.backendClosed();
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
      case 'answering':
        this.#answer?.take(piece);
        break;
      case 'answered':
        // Whatever that is, nobody has asked for it.
        this.#dropConnection();
        this.#finish();
        break;
    }
  }

  backendEnded(): void {
    if (this.#phase === 'answered') this.#finish();
    else if (this.#phase === 'answering') this.#answer?.backendEnded();
  }

  clientDrained(): void {
    this.#answer?.clientDrained();
  }

  #readHead(piece: Buffer): void {
    const { answerHeads } = this.#parts;
    const bytes = this.#partialHead ? Buffer.concat([this.#partialHead, piece]) : piece;
    this.#partialHead = undefined;
    for (let at = 0; at < bytes.length; ) {
      const text = bytes.toString('latin1', at, Math.min(bytes.length, at + MOST_ANSWER_HEAD));
      const end = text.indexOf(END_OF_HEAD);
      const isUnfinished = end === -1 && text.length < MOST_ANSWER_HEAD && mayBecomeHead(text);
      if (isUnfinished && answerHeads.mayBegin(text)) {
        this.#partialHead = Buffer.from(bytes.subarray(at));
        return;
      }
      if (end === -1 || !answerHeads.read(text, end) || answerHeads.status === 101) {
        const error = new StickshiftError('BACKEND_INVALID', 'the answer is not HTTP/1.1');
        this.#missed({ kind: 'failed', error });
        return;
      }
      at += end + END_OF_HEAD.length;
      if (answerHeads.status < 200) continue;
      this.#delivery.answered(answerHeads.status);
      this.#answer = new AnswerTransfer(this.#parts, this.#delivery, this.#writer, this);
      this.#phase = 'answering';
      this.#answer.begin(text, bytes, at);
      return;
    }
  }

  pauseBackend(): void {
    this.#connection?.socket.pause();
  }

  resumeBackend(): void {
    this.#connection?.socket.resume();
  }

  answerRead(): void {
    this.#giveConnectionBack();
    // Nobody reads the rest of its body; there is time for that when the answer is out.
    if (this.bodyLeft > 0) this.#client.pause();
  }

  answerSent(): void {
    const keepsConnection = this.#answer !== undefined && this.#answer.backendKeepsForMs > 0;
    this.#parts.deliveries.end(this.#delivery, this.#writer.status, true);
    if (this.bodyLeft > 0 && this.#connection && this.#writer.keepAlive && keepsConnection) {
      // The backend has said early what it had to say. It may read on, and if it does, its connection is good for more.
      this.#phase = 'answered';
      this.#waitForBackend();
      return;
    }
    this.#finish();
  }

  answerBrokenOff(): void {
    this.cut();
  }

  expectMore(ms: number): void {
    this.dueAt = ms === Number.POSITIVE_INFINITY ? ms : this.#parts.clock.in(ms);
  }

  #finish(): void {
    this.#giveConnectionBack();
    this.#phase = 'over';
    this.#client.exchangeOver(this.#writer.keepAlive, this.bodyLeft);
  }

  // When it does not go well

  late(): void {
    this.dueAt = Number.POSITIVE_INFINITY;
    if (this.#phase === 'over') return;
    if (this.#phase === 'answered') {
      this.cut();
    } else if (this.#phase === 'answering') {
      this.#answer?.late();
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
    this.#giveUp();
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
    this.#giveUp();
    this.#parts.deliveries.end(this.#delivery, this.#writer.status, false);
  }

  /** Whatever still comes of it is for nobody. */
  #giveUp(): void {
    this.#phase = 'over';
    this.#answer?.abandon();
    this.#dropConnection();
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
    const keepsForMs = this.#answer?.backendKeepsForMs ?? 0;
    // What is still queued in it, the backend may never take.
    const isUsable = this.bodyLeft === 0 && connection.socket.writableLength === 0;
    if (keepsForMs > 0 && isUsable) this.#parts.backends.giveBack(connection, keepsForMs);
    else connection.destroy();
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
}
