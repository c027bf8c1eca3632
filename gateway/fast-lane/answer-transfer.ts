import { asStickshiftError, StickshiftError } from '../../protocol/errors.ts';
import type { AnswerPlan } from '../delivery/answer-rules.ts';
import type { Delivery } from '../delivery/delivery.ts';
import { announcesVoidBody } from '../forwarding/response-headers.ts';
import { AnswerBody, framingOf } from './answer-body.ts';
import type { AnswerWriter, KeptHead } from './answer-writer.ts';
import type { LaneParts } from './lane-parts.ts';

const NOTHING = Buffer.alloc(0);

/** Whose answer it is. */
export interface AnswerOwner {
  pauseBackend(): void;
  resumeBackend(): void;
  /** All of it has been read; the backend's connection has no more to do with it. */
  answerRead(): void;
  /** It is with the client's connection. */
  answerSent(): void;
  /** The backend does not finish it, and something of it is with the client. */
  answerBrokenOff(): void;
  fail(failure: StickshiftError): void;
  /** @param ms - within which more of it has to come; `Infinity`: somebody else has been asked, or it never ends */
  expectMore(ms: number): void;
}

/** One answer on its way from its backend to its client: at once, or when it may. */
export class AnswerTransfer {
  readonly #parts: LaneParts;
  readonly #delivery: Delivery;
  readonly #writer: AnswerWriter;
  readonly #owner: AnswerOwner;
  readonly #plan: AnswerPlan;
  readonly #body: AnswerBody;
  /** Not kept of an answer that goes out at once. */
  #kept: KeptHead | undefined;
  #state: 'holding' | 'checking' | 'streaming' | 'over' = 'streaming';
  #held: Buffer[] = [];
  #heldLength = 0;
  /** Came from the backend while the answer was being checked. */
  #late: Buffer[] = [];
  /** The backend closed its connection while the answer was being checked. */
  #isCut = false;
  #backendKeepsForMs: number;

  /** Of the answer whose head `parts.answerHeads` has just read. */
  constructor(parts: LaneParts, delivery: Delivery, writer: AnswerWriter, owner: AnswerOwner) {
    const { answerHeads, rules } = parts;
    const { status, keepAlive, keepsForMs, contentLength } = answerHeads;
    const { method } = delivery;
    this.#parts = parts;
    this.#delivery = delivery;
    this.#writer = writer;
    this.#owner = owner;
    this.#plan = rules.plan(delivery, answerHeads);
    const wants = this.#plan.hold ? 'data' : 'frames';
    this.#body = new AnswerBody(framingOf(method, answerHeads), contentLength ?? 0, wants);
    this.#backendKeepsForMs = keepAlive && !announcesVoidBody(method, status, answerHeads) ? keepsForMs : 0;
  }

  /** For how long the backend keeps its connection for another request; 0: it does not, or must not have one. */
  get backendKeepsForMs(): number {
    return this.#backendKeepsForMs;
  }

  /**
   * @param text - begins with the head that has just been read
   * @param bytes - what has come with it
   * @param bodyStart - where the body begins in `bytes`
   */
  begin(text: string, bytes: Buffer, bodyStart: number): void {
    const { rules } = this.#parts;
    if (this.#plan.hold) {
      this.#keepHead(text);
      this.#state = 'holding';
      this.#hold(bytes, bodyStart);
      return;
    }
    const checking = rules.admit(this.#delivery, this.#plan);
    if (checking) {
      this.#keepHead(text);
      this.#late.push(Buffer.from(bytes.subarray(bodyStart)));
      this.#pauseFor(checking, () => this.#letOut());
      return;
    }
    if (this.#plan.endless) this.#delivery.becomeEndless();
    const cookie = rules.cookie(this.#delivery, this.#plan.binding);
    const head =
      cookie === undefined
        ? this.#writer.plainHead(text)
        : this.#writer.headWith(this.#keepHead(text), cookie, this.#body.framing);
    this.#stream(head, bytes, bodyStart);
  }

  /** @param piece - good only until this returns */
  take(piece: Buffer): void {
    if (this.#state === 'streaming') this.#stream('', piece, 0);
    else if (this.#state === 'holding') this.#hold(piece, 0);
    else if (this.#state === 'checking') this.#late.push(Buffer.from(piece));
  }

  /** The backend sends no more: that ends an answer without a length, and only that. */
  backendEnded(): void {
    if (this.#body.framing !== 'close') return;
    this.#body.close();
    if (this.#state !== 'checking') this.take(NOTHING);
  }

  /** The backend's connection is gone. */
  backendClosed(): void {
    if (this.#state === 'checking') this.#isCut = true;
    else this.#breakOff();
  }

  clientDrained(): void {
    if (this.#state === 'streaming') this.#owner.resumeBackend();
  }

  /** The backend does not finish it in time. */
  late(): void {
    this.#breakOff();
  }

  /** Nobody waits for it any more. */
  abandon(): void {
    this.#state = 'over';
    this.#held = [];
    this.#late = [];
  }

  #keepHead(text: string): KeptHead {
    const { answerHeads } = this.#parts;
    const { status, reason } = answerHeads;
    this.#kept = { status, reason, rawHeaders: answerHeads.rawHeaders(text) };
    return this.#kept;
  }

  get #head(): KeptHead {
    if (!this.#kept) throw new StickshiftError('INTERNAL', 'the head of the answer was not kept');
    return this.#kept;
  }

  /** The answer waits, and so does the backend with the rest of it. */
  #pauseFor(asked: Promise<void>, proceed: () => void): void {
    this.#owner.pauseBackend();
    this.#waitFor(asked, proceed);
  }

  #waitFor<T>(asked: Promise<T>, proceed: (answer: T) => void): void {
    this.#state = 'checking';
    this.#owner.expectMore(Number.POSITIVE_INFINITY);
    const { trace } = this.#delivery;
    asked.then(
      (answer) =>
        trace.run(() => {
          if (this.#state !== 'checking') return;
          try {
            proceed(answer);
          } catch (error) {
            this.#owner.fail(asStickshiftError(error));
          }
        }),
      (error: unknown) => this.#owner.fail(asStickshiftError(error)),
    );
  }

  /** An answer that is not held has been found to be good. */
  #letOut(): void {
    const { binding, endless } = this.#plan;
    if (endless) this.#delivery.becomeEndless();
    const cookie = this.#parts.rules.cookie(this.#delivery, binding);
    this.#goOn(this.#writer.headWith(this.#head, cookie, this.#body.framing));
  }

  /** What has come meanwhile follows, and then what is still to come. */
  #goOn(head: string): void {
    this.#state = 'streaming';
    const late = Buffer.concat(this.#late);
    this.#late = [];
    this.#stream(head, late, 0);
    if (this.#state !== 'streaming') return;
    if (this.#isCut) this.#breakOff();
    else this.#owner.resumeBackend();
  }

  #stream(head: string, piece: Buffer, start: number): void {
    const body = this.#body;
    const end = body.take(piece, start);
    const isDone = body.state === 'done';
    const flows = this.#writer.write(head, piece, body.ranges, isDone);
    if (body.state === 'invalid') {
      this.#breakOff();
    } else if (isDone) {
      if (end < piece.length) this.#backendKeepsForMs = 0;
      this.#sent();
    } else {
      if (!flows) this.#owner.pauseBackend();
      this.#expectMore();
    }
  }

  #hold(piece: Buffer, start: number): void {
    const body = this.#body;
    const end = body.take(piece, start);
    for (let index = 0; index < body.ranges.length; index += 2) {
      const part = Buffer.from(piece.subarray(body.ranges[index], body.ranges[index + 1]));
      this.#held.push(part);
      this.#heldLength += part.length;
    }
    // Whatever that is, nobody has asked for it.
    if (body.state === 'done' && end < piece.length) this.#backendKeepsForMs = 0;
    if (body.state === 'invalid') {
      this.#breakOff();
    } else if (this.#isTooLarge) {
      this.#overflow();
    } else if (body.state === 'done') {
      this.#release();
    } else {
      this.#expectMore();
    }
  }

  get #isTooLarge(): boolean {
    return this.#heldLength > this.#parts.spoolLimit;
  }

  /** All of a held answer is here. */
  #release(): void {
    const { rules } = this.#parts;
    const { hold } = this.#plan;
    if (!hold) return;
    this.#owner.answerRead();
    this.#waitFor(rules.release(this.#delivery, this.#plan, hold), (binding) => {
      const bytes = this.#takeHeld();
      const cookie = rules.cookie(this.#delivery, binding);
      const head = this.#writer.headWith(this.#head, cookie, 'length', bytes.length);
      this.#writer.write(head, bytes, [0, bytes.length], true);
      this.#sent();
    });
  }

  /** Too large to hold: the client gets it as it comes, and what it acknowledges is committed right behind it. */
  #overflow(): void {
    const { rules, counters } = this.#parts;
    const { binding } = this.#plan;
    counters.held.overflowed += 1;
    const retires = binding.session !== this.#delivery.route.session;
    this.#pauseFor(rules.check(this.#delivery, retires) ?? Promise.resolve(), () => {
      const bytes = this.#takeHeld();
      const { framing } = this.#body;
      const head = this.#writer.headWith(this.#head, rules.cookie(this.#delivery, binding), framing);
      if (framing === 'chunks') this.#writer.makeChunks();
      this.#writer.write(head, bytes, [0, bytes.length], false);
      this.#goOn('');
    });
  }

  #takeHeld(): Buffer {
    const bytes = Buffer.concat(this.#held);
    this.#held = [];
    return bytes;
  }

  #sent(): void {
    const { hold } = this.#plan;
    this.#state = 'over';
    if (hold && this.#isTooLarge) this.#parts.rules.releaseLate(this.#delivery, this.#plan, hold);
    this.#owner.answerSent();
  }

  #breakOff(): void {
    if (this.#state === 'holding') {
      this.#parts.rules.brokenOff(this.#plan);
      this.#owner.fail(new StickshiftError('BACKEND_RESET', 'the backend broke off within its answer'));
    } else if (this.#state !== 'over') {
      this.#delivery.brokenOff();
      this.#owner.answerBrokenOff();
    }
  }

  #expectMore(): void {
    this.#owner.expectMore(this.#plan.endless ? Number.POSITIVE_INFINITY : this.#parts.timeouts.idle);
  }
}
