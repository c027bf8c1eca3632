import { createHash } from 'node:crypto';
import type { LeaseAnswer, LeaseRequest } from '../../protocol/agent-api.ts';
import { detached } from '../memory/recent-map.ts';
import { LIFE_LENGTH, type Stamp } from './stamp.ts';

/** Sessions that are known one by one to have been recalled; past that, nothing older than the last recall is trusted. */
const DEFAULT_LIMIT = 10_000;

/**
 * An agent answers a call that waits within a quarter of a second, and the next one is under way at once. One that has said
 * nothing for so long may stand still, or be cut off, milliseconds. Where it is only far away, it is asked more often than it need be.
 */
const SILENCE_MS = 400;

/** What a call asked for, so that its answer can be understood. */
export interface LeaseCall extends Required<Pick<LeaseRequest, 'seen' | 'renew'>> {
  /** `performance.now()` */
  readonly sentAt: number;
  /** How often trust had been withdrawn by then. */
  readonly distrusts: number;
  /** Which lease it belongs to. */
  readonly term: number;
}

/**
 * What this gateway may believe of one backend's bindings without asking. An agent lets no session go before every gateway that
 * holds its lease has been told. So a binding is as good as on the day it was stamped as long as the lease holds, the agent
 * lives the same life, and no recall since then has named the session.
 *
 * It makes no calls; a `LeaseKeeper` brings the answers.
 */
export class Lease {
  readonly #limit: number;
  #incarnation = '';
  /** As of now. */
  #stamp: Stamp | undefined;
  /** Stamps older than this recall are not trusted; none is while `#isTrusting` is false. */
  #since = 0;
  #isTrusting = false;
  /** By `performance.now()`. */
  #until = Number.NEGATIVE_INFINITY;
  /** By `performance.now()`. */
  #heardAt = Number.NEGATIVE_INFINITY;
  /** Sessions recalled after `since`, with the number of their last recall. */
  readonly #recalled = new Map<string, number>();
  #distrusts = 0;
  /** Counts leases. */
  #term = 0;

  /** Called when the agent has to be told at once that trust was withdrawn. */
  onDistrust: () => void = () => undefined;

  /** @param limit - most recalled sessions that are remembered one by one, default 10 000 (about 2 MiB) */
  constructor(limit = DEFAULT_LIMIT) {
    this.#limit = limit;
  }

  /** Counts leases: what was agreed to under another one means nothing. */
  get term(): number {
    return this.#term;
  }

  /** @param now - `performance.now()` */
  holds(now = performance.now()): boolean {
    return now < this.#until;
  }

  /**
   * The agent may have stood still for a moment already. What the lease says of where sessions are holds good; but what their app has
   * changed meanwhile, nobody has saved.
   *
   * @param now - `performance.now()`
   */
  isSilent(now = performance.now()): boolean {
    return now - this.#heardAt >= SILENCE_MS;
  }

  /** The agent has answered a call, whatever it said. */
  heard(): void {
    this.#heardAt = performance.now();
  }

  /**
   * Whether a binding with this stamp is right. Asked when a request is routed, and again when its answer is about to go out.
   *
   * @param ref - of the session
   * @param now - `performance.now()`
   */
  vouchesFor(stamp: Stamp | undefined, ref: string, now = performance.now()): boolean {
    if (stamp === undefined || !this.#isTrusting || now >= this.#until) return false;
    if (stamp.recall < this.#since || stamp.life !== this.#stamp?.life) return false;
    if (this.#recalled.size === 0) return true;
    const recalled = this.#recalled.get(ref);
    return recalled === undefined || stamp.recall >= recalled;
  }

  /**
   * For a binding that the agent is about to be asked for: taken *before* asking, because a recall may overtake the answer.
   * What is taken while there is no lease is good for nothing later.
   */
  stamp(): Stamp | undefined {
    return this.#stamp;
  }

  /** The stamp of a binding as of now: a current one when nothing has happened to it, or else what it was. */
  refreshed(stamp: Stamp | undefined, ref: string): Stamp | undefined {
    return this.vouchesFor(stamp, ref) ? this.#stamp : stamp;
  }

  /** Bindings stamped so far are not trusted any more, though the agent recalled none: its app was away, or it was drained. */
  distrust(): void {
    this.#distrusts += 1;
    this.#isTrusting = false;
    this.onDistrust();
  }

  /** What the next call has to ask for. */
  nextCall(): LeaseCall {
    const holds = this.holds();
    return {
      seen: holds && this.#stamp ? this.#stamp.recall : -1,
      // Also when it begins: before, somebody may have taken sessions over from a backend that had fallen silent.
      renew: !holds || !this.#isTrusting,
      sentAt: performance.now(),
      distrusts: this.#distrusts,
      term: this.#term,
    };
  }

  /**
   * Takes in an answer.
   *
   * @param refOf - makes the `ref` of a session ID
   * @returns `lapsed`: it came too late, or from another life of the agent; a new lease has to begin. `ignored`: it belongs to a
   *   lease that is over already.
   */
  answered(
    call: LeaseCall,
    answer: LeaseAnswer,
    refOf: (sessionId: string) => string,
  ): 'began' | 'goes-on' | 'lapsed' | 'ignored' {
    if (call.term !== this.#term) return 'ignored';
    const began = call.seen === -1 && !this.holds();
    if (began) {
      this.#term += 1;
      this.#isTrusting = false;
      this.#incarnation = answer.incarnation;
      this.#stamp = { life: lifeOf(answer.incarnation), recall: answer.recall };
      this.#since = answer.recall;
      this.#recalled.clear();
    } else if (!this.#stamp || !this.holds() || answer.incarnation !== this.#incarnation) {
      this.lapse();
      return 'lapsed';
    } else {
      // An answer may overtake another one that was asked for earlier.
      const { life, recall: seen } = this.#stamp;
      for (const { recall, sessionIds, reason } of answer.recalls) {
        // Where a removed session is, is not in question.
        if (recall <= seen || reason === 'removed') continue;
        if (sessionIds.length === 0) this.#trustFrom(recall);
        for (const id of sessionIds) this.#recall(refOf(id), recall);
      }
      if (answer.recall > seen) this.#stamp = { life, recall: answer.recall };
    }
    if (answer.renewed !== undefined && call.distrusts === this.#distrusts) {
      this.#trustFrom(answer.renewed);
      this.#isTrusting = true;
    }
    this.#until = Math.max(this.#until, call.sentAt + answer.ttlMs);
    return began ? 'began' : 'goes-on';
  }

  /** The agent knows of no lease. What was asked for a former one says nothing of this. */
  refused(call: LeaseCall): void {
    if (call.term === this.#term) this.lapse();
  }

  /** The lease is over before its time. */
  lapse(): void {
    this.#term += 1;
    this.#until = Number.NEGATIVE_INFINITY;
    this.#isTrusting = false;
    this.#recalled.clear();
  }

  #recall(ref: string, recall: number): void {
    if (this.#recalled.size >= this.#limit && !this.#recalled.has(ref)) this.#trustFrom(recall);
    if (recall > this.#since) this.#recalled.set(detached(ref), recall);
  }

  #trustFrom(since: number): void {
    if (since <= this.#since) return;
    this.#since = since;
    for (const [ref, recall] of this.#recalled) if (recall <= since) this.#recalled.delete(ref);
  }
}

function lifeOf(incarnation: string): string {
  return createHash('sha256').update(incarnation).digest('base64url').slice(0, LIFE_LENGTH);
}
