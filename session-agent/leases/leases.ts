import type { LeaseAnswer, LeaseRequest, Recall } from '../../protocol/agent-api.ts';
import { within } from '../ownership/within.ts';
import type { Lease } from './lease.ts';
import { LeaseBook } from './lease-book.ts';
import type { RecallUnderWay } from './recall-under-way.ts';

const TTL_MS = 3_000;
/** The longest that a waiting call is kept without an answer, milliseconds. Gateways go by it when they call an agent silent. */
const WAIT_MS = 250;
const GATEWAYS = 256;

export interface LeasesOptions {
  /** How long a gateway may trust its lease after a call, milliseconds. Default: 3 s. */
  readonly ttlMs?: number;
  /**
   * Whether gateways may hold leases of an earlier life of this agent, which recalls must wait out. Default: true, for nobody
   * can tell. False where it is certain that there was none.
   */
  readonly formerLife?: boolean;
  /**
   * `performance.now()`: this agent has dealt with whatever others took from it before. No lease is given for longer than a lease's
   * time after that: an agent that is cut off from the store does not know what is not its own any more. Default: always heard.
   */
  readonly heardUntil?: () => number;
}

/**
 * The agent's word to gateways: none of them follows a binding to a session that the app is about to forget. What the
 * protocol says of it stands at `LeaseRequest`.
 */
export class Leases {
  /** Totals since the start. */
  readonly counts = { recalls: 0, waitedMs: 0 };
  /**
   * How long a gateway may, at most, go on trusting an agent that hears nothing any more, milliseconds, by the clock of whoever
   * waits for that.
   */
  readonly trustMs: number;
  /** `performance.now()` when this life of the agent began; `undefined` when it certainly is the first. */
  readonly bornAt: number | undefined;
  readonly #book: LeaseBook;
  /** Calls that wait for news, and how to wake them. One per lease: a second one sends the first home. */
  readonly #waiting = new Map<Lease, () => void>();
  #waking: NodeJS.Immediate | undefined;
  #lapseTimer: NodeJS.Timeout | undefined;

  constructor(options: LeasesOptions = {}) {
    const { ttlMs = TTL_MS, formerLife = true, heardUntil } = options;
    this.bornAt = formerLife ? performance.now() : undefined;
    this.#book = new LeaseBook({
      ...{ ttlMs, limit: GATEWAYS, bornAt: this.bornAt },
      ...(heardUntil && { heardUntil }),
    });
    this.trustMs = this.#book.holdMs;
  }

  /** Gateways that hold a lease. */
  get held(): number {
    return this.#book.held;
  }

  /** Leases that ran out while a recall waited for them, since the start. */
  get lapsed(): number {
    return this.#book.lapsed;
  }

  /**
   * Answers a gateway: at once where there is something to say, otherwise after a quarter of a second.
   *
   * @throws StickshiftError `LEASE_REFUSED`
   */
  async call(request: LeaseRequest): Promise<Omit<LeaseAnswer, 'incarnation'>> {
    const { gateway, seen, wait, renew = false } = request;
    const lease = this.#book.heard(request, performance.now());
    const renewed = renew || seen < 0 ? { renewed: this.#book.newest } : {};
    if (lease && wait && seen >= 0 && !renew && !this.#book.hasNews(seen)) {
      await this.#news(lease);
      // An answer would be taken for a sign that it still holds.
      this.#book.assertHeld(gateway, lease);
    }
    const news = lease ? this.#book.answer(lease, seen) : { recall: Math.max(0, seen), recalls: [] };
    const ttlMs = lease ? this.#book.ttlMs(performance.now()) : 0;
    return { ttlMs, ...renewed, ...news };
  }

  /**
   * Takes the sessions back from all gateways. Over when each that holds a lease has agreed, or its lease has run out; often
   * that is at once.
   *
   * @param sessionIds - some hundreds at most: they reach a gateway in one answer
   */
  recall(sessionIds: readonly string[], reason: Recall['reason']): RecallUnderWay {
    const recall = this.#book.recall(sessionIds, reason, performance.now());
    this.counts.recalls++;
    this.#wakeAll();
    if (!recall.isOver) {
      this.#watchLapses();
      void recall.settled.then(() => {
        this.counts.waitedMs += Math.round(performance.now() - recall.issuedAt);
      });
    }
    return recall;
  }

  /** Whether the recall is over within `patienceMs`. If not, it is given up: nobody may count on it later. */
  async agreed(recall: RecallUnderWay, patienceMs: number): Promise<boolean> {
    if (!recall.isOver) await within(recall.settled, patienceMs);
    if (!recall.isOver) this.#book.giveUp(recall);
    return recall.isOver;
  }

  /**
   * Asks all gateways about a session that the app has removed. Resolves with true when the request that did it was answered, whichever
   * it was: none of the session's broke off. False when one may have, or when that is not to be learned within `patienceMs`.
   */
  async wasAnswered(sessionId: string, patienceMs: number): Promise<boolean> {
    const inquiry = this.#book.inquire(sessionId, performance.now());
    this.counts.recalls += inquiry.recalls.length;
    this.#wakeAll();
    this.#watchLapses();
    await within(inquiry.settled, patienceMs);
    const { isAnswered } = inquiry;
    this.#book.close(inquiry);
    return isAnswered;
  }

  /** Tells gateways of sessions that live nowhere any more, and waits for nobody. */
  tell(sessionIds: readonly string[]): void {
    this.counts.recalls++;
    this.#book.tell(sessionIds, 'lost');
    this.#wakeAll();
  }

  /** What gateways know of this agent's sessions from before now needs a check: the app came or went. */
  doubtAll(): void {
    this.tell([]);
  }

  /** Recalls under way are never over. */
  stop(): void {
    clearTimeout(this.#lapseTimer);
    this.#book.giveUpAll();
    this.#wakeAll();
  }

  #news(lease: Lease): Promise<void> {
    this.#waiting.get(lease)?.();
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        if (this.#waiting.get(lease) === wake) this.#waiting.delete(lease);
        resolve();
      };
      const timer = setTimeout(wake, WAIT_MS);
      this.#waiting.set(lease, wake);
    });
  }

  /** At the end of this turn of the event loop, so that recalls of one turn are told together. */
  #wakeAll(): void {
    this.#waking ??= setImmediate(() => {
      this.#waking = undefined;
      for (const wake of this.#waiting.values()) wake();
    });
  }

  #watchLapses(): void {
    clearTimeout(this.#lapseTimer);
    const now = performance.now();
    const next = this.#book.lapse(now);
    if (next === undefined) return;
    // Rounded up: a timer that fires a little early would only look again.
    this.#lapseTimer = setTimeout(() => this.#watchLapses(), Math.ceil(next - now) + 1).unref();
  }
}
