import type { LeaseAnswer, LeaseRequest, Recall } from '../../protocol/agent-api.ts';
import { StickshiftError } from '../../protocol/errors.ts';
import { Inquiry } from './inquiry.ts';
import { Lease } from './lease.ts';
import { RecallLog } from './recall-log.ts';
import { RecallUnderWay } from './recall-under-way.ts';

/** The clocks of two machines may run at rates that differ this much while one of them is being set right. */
const CLOCK_DRIFT = 0.01;
/** A recall of a lost session is agreed to at once. Whoever takes longer than this loses the lease, milliseconds. */
const LOST_PATIENCE_MS = 5_000;
/** So long the agent reckons with requests that broke off together with their gateway, milliseconds. An app may go on with them for a while. */
const SILENT_MS = 60_000;
/** Past these somebody is clearing up, or no gateway has been there for long. */
const MAX_INQUIRIES = 1_000;
const LOG_SIZE = 1024 * 1024;
const NO_LEASE = 'this gateway holds no lease any more; begin with seen -1';
/** In the place of a gateway's name, which is never empty. */
const FORMER_LIFE = '';

export interface LeaseBookOptions {
  /** How long gateways trust their lease after a call, milliseconds. */
  readonly ttlMs: number;
  /** Most leases at once. */
  readonly limit: number;
  /** When this agent began. Until `ttlMs` later, gateways may hold leases of its former life. `undefined`: it had none. */
  readonly bornAt: number | undefined;
  /** Until when the store has been heard, see `LeasesOptions`: a lease holds no longer than `ttlMs` after that. Default: always. */
  readonly heardUntil?: () => number;
  /** Characters of session IDs that are kept for gateways to catch up on. Default: about a million. */
  readonly logSize?: number;
}

/**
 * Who holds a lease, which recalls there were, and who has not agreed to them yet. Knows no clock: `now` is milliseconds of
 * one that never goes back.
 *
 * The rule that everything here serves: a recall is over only when every gateway that holds a lease *in its own view*, begun
 * before the recall, has agreed. A gateway counts its lease from when it sent a call, this book from when that call came in,
 * and calls that come late, twice or in another order can only make a lease longer here.
 */
export class LeaseBook {
  /** A lease is over for certain when its gateway has not been heard, or the store, for so long, milliseconds. */
  readonly holdMs: number;
  readonly #options: LeaseBookOptions;
  readonly #held = new Map<string, Lease>();
  /** Leases that nothing prolongs: revoked ones, and those of a former life. Recalls wait until they have run out. */
  readonly #ending = new Map<Lease, string>();
  readonly #inquiries = new Set<Inquiry>();
  /** Gateways that are gone, with whatever requests they had, and since when. */
  readonly #silent = new Map<string, number>();
  /** When one was last refused a lease because there are too many. It serves all the same, and nobody can ask it. */
  #refusedAt = Number.NEGATIVE_INFINITY;
  readonly #underWay = new Set<RecallUnderWay>();
  readonly #log: RecallLog;
  #recall = 0;
  #lapsed = 0;

  constructor(options: LeaseBookOptions) {
    this.#options = options;
    this.holdMs = options.ttlMs * (1 + CLOCK_DRIFT);
    this.#log = new RecallLog(options.logSize ?? LOG_SIZE);
    if (options.bornAt !== undefined) this.#ending.set(new Lease(0, options.bornAt), FORMER_LIFE);
  }

  get held(): number {
    return this.#held.size;
  }

  /** Number of the newest recall. */
  get newest(): number {
    return this.#recall;
  }

  /** Leases that ran out while a recall waited for them, since the start. */
  get lapsed(): number {
    return this.#lapsed;
  }

  /**
   * A gateway has called. Returns its lease; `undefined` when it leaves.
   *
   * @throws StickshiftError `LEASE_REFUSED`: it holds none, and has to begin with `seen` -1; or there are too many
   */
  heard(request: LeaseRequest, now: number): Lease | undefined {
    this.lapse(now);
    if (request.leave) return this.#leave(request.gateway, now);
    // Who begins, or begins again, is not to trust what was told before: agreed or not, it may have forgotten recalls.
    if (request.renew || request.seen < 0) this.#recall++;
    const lease =
      request.seen < 0
        ? this.#begin(request.gateway, now)
        : this.#prolong(request.gateway, request.seen, now);
    lease.heardAt = now;
    const acknowledged = new Set(request.acknowledged);
    const broken = new Set(request.broken);
    for (const recall of lease.owes) {
      if (!acknowledged.has(recall.recall)) continue;
      if (broken.has(recall.recall)) recall.inquiry?.doubt();
      else recall.inquiry?.hear();
      this.#excuse(recall, lease);
    }
    return lease;
  }

  /** @throws StickshiftError `LEASE_REFUSED` when the lease has been revoked, has run out or was given back */
  assertHeld(gateway: string, lease: Lease): void {
    if (this.#held.get(gateway) !== lease) throw new StickshiftError('LEASE_REFUSED', NO_LEASE);
  }

  /**
   * For how long a lease is given now.
   *
   * @throws StickshiftError `LEASE_REFUSED` when nothing was heard from the store for as long as a lease holds
   */
  ttlMs(now: number): number {
    const { ttlMs, heardUntil = () => now } = this.#options;
    // Not the difference of two large numbers, which may come out a hair too small.
    const left = Math.floor(ttlMs + Math.min(0, heardUntil() - now));
    if (left > 0) return left;
    throw new StickshiftError(
      'LEASE_REFUSED',
      'the agent does not hear from the store what is still its own',
    );
  }

  /** Whether there is something to tell a gateway that has been given everything up to `seen`. */
  hasNews(seen: number): boolean {
    return this.#log.hasAfter(seen);
  }

  /** What to tell it. `recall` is as far as `recalls` reach: where some are left for the next answer, not to the newest. */
  answer(lease: Lease, seen: number): Pick<LeaseAnswer, 'recall' | 'recalls'> {
    if (seen < 0) return { recall: this.#beginningOf(lease), recalls: [] };
    const { recalls, isAll } = this.#log.after(seen);
    return { recall: isAll ? this.#recall : (recalls.at(-1)?.recall ?? seen), recalls };
  }

  /** Tells every gateway, and asks each that holds a lease now to agree. */
  recall(sessionIds: readonly string[], reason: Recall['reason'], now: number): RecallUnderWay {
    this.lapse(now);
    return this.#issue(sessionIds, reason, now, this.#leases);
  }

  /** Tells every gateway, and asks nobody. Of no sessions: bindings from before need a check. */
  tell(sessionIds: readonly string[], reason: Recall['reason']): void {
    this.#log.add({ recall: ++this.#recall, sessionIds, reason });
  }

  /** Asks every gateway whether a request of the session broke off. Whoever asks has to {@link close} it. */
  inquire(sessionId: string, now: number): Inquiry {
    this.lapse(now);
    const inquiry = new Inquiry(sessionId);
    const isUnknowable = this.#silent.size > 0 || now - this.#refusedAt < SILENT_MS;
    if (isUnknowable || this.#inquiries.size >= MAX_INQUIRIES) {
      inquiry.doubt();
      return inquiry;
    }
    this.#inquiries.add(inquiry);
    const leases = this.#leases;
    if (leases.length > 0) this.#ask(inquiry, leases, now);
    return inquiry;
  }

  close(inquiry: Inquiry): void {
    this.#inquiries.delete(inquiry);
    for (const recall of inquiry.recalls) this.giveUp(recall);
    inquiry.close();
  }

  giveUp(recall: RecallUnderWay): void {
    this.#underWay.delete(recall);
    recall.giveUp();
  }

  giveUpAll(): void {
    for (const recall of this.#underWay) this.giveUp(recall);
    for (const inquiry of this.#inquiries) this.close(inquiry);
  }

  /** Drops the leases whose time is up. Returns when the next one's will be, if a recall waits for any. */
  lapse(now: number): number | undefined {
    let next = Number.POSITIVE_INFINITY;
    const isOver = (lease: Lease, heardUntil = lease.heardAt): boolean => {
      const until = Math.min(lease.heardAt, heardUntil) + this.holdMs;
      if (until > now && lease.owes.size > 0) next = Math.min(next, until);
      if (until > now) return false;
      if (lease.owes.size > 0) this.#lapsed++;
      return true;
    };
    for (const [gateway, since] of this.#silent) if (now - since >= SILENT_MS) this.#silent.delete(gateway);
    const heardUntil = this.#options.heardUntil?.();
    for (const [gateway, lease] of this.#held) {
      if (!isOver(lease, heardUntil)) continue;
      this.#held.delete(gateway);
      this.#gone(gateway, lease, now);
    }
    // Of a former life, nobody knows here what it had heard.
    for (const [lease, gateway] of this.#ending) {
      if (!isOver(lease)) continue;
      this.#ending.delete(lease);
      this.#gone(gateway, lease, now);
    }
    return Number.isFinite(next) ? next : undefined;
  }

  /**
   * A gateway says that it holds no lease. If it holds one here, that goes on with all that it owes: the call may be an old
   * one that comes late, after the gateway has got its lease by another.
   */
  #begin(gateway: string, now: number): Lease {
    const held = this.#held.get(gateway);
    if (held && this.#log.reachesBackTo(this.#beginningOf(held)) && !isOverdue(held, now)) return held;
    if (held) this.#revoke(gateway, held);
    if (this.#held.size + this.#ending.size >= this.#options.limit) {
      this.#refusedAt = now;
      throw new StickshiftError('LEASE_REFUSED', `${this.#options.limit} gateways hold a lease already`);
    }
    this.#silent.delete(gateway);
    const lease = new Lease(this.#recall, now);
    this.#held.set(gateway, lease);
    // Without a lease it may have had the very request that the agent wants to know of.
    for (const inquiry of this.#inquiries) this.#ask(inquiry, [lease], now);
    return lease;
  }

  #prolong(gateway: string, seen: number, now: number): Lease {
    const lease = this.#held.get(gateway);
    if (!lease || seen < lease.began) throw new StickshiftError('LEASE_REFUSED', NO_LEASE);
    if (!this.#log.reachesBackTo(seen)) {
      this.#revoke(gateway, lease);
      throw new StickshiftError('LEASE_REFUSED', 'the recalls that this gateway has not seen are gone');
    }
    if (isOverdue(lease, now)) {
      this.#revoke(gateway, lease);
      throw new StickshiftError('LEASE_REFUSED', 'this gateway does not agree to recalls in time');
    }
    return lease;
  }

  /** The number from which on the gateway is told of every recall, and agrees to it. */
  #beginningOf(lease: Lease): number {
    const { oldestOwed } = lease;
    return oldestOwed === undefined ? this.#recall : oldestOwed - 1;
  }

  /** What it knows of requests that broke off goes with it. */
  #leave(gateway: string, now: number): undefined {
    const held = this.#held.get(gateway);
    const leases = held ? [held] : [];
    for (const [lease, of] of this.#ending) if (of === gateway) leases.push(lease);
    this.#held.delete(gateway);
    for (const lease of leases) {
      this.#ending.delete(lease);
      this.#gone(gateway, lease, now);
    }
  }

  /** The gateway may not know for a while. */
  #revoke(gateway: string, lease: Lease): void {
    this.#held.delete(gateway);
    this.#ending.set(lease, gateway);
  }

  /** All that a recall has to wait for. */
  get #leases(): Lease[] {
    return [...this.#held.values(), ...this.#ending.keys()];
  }

  #ask(inquiry: Inquiry, leases: readonly Lease[], now: number): void {
    inquiry.ask(this.#issue([inquiry.sessionId], 'removed', now, leases, inquiry));
  }

  #issue(
    sessionIds: readonly string[],
    reason: Recall['reason'],
    now: number,
    leases: readonly Lease[],
    inquiry?: Inquiry,
  ): RecallUnderWay {
    this.tell(sessionIds, reason);
    const recall = new RecallUnderWay({ recall: this.#recall, reason }, now, leases, inquiry);
    if (!recall.isOver) this.#underWay.add(recall);
    return recall;
  }

  /** A gateway holds a lease no more, and has not said what became of its requests. */
  #gone(gateway: string, lease: Lease, now: number): void {
    // Where one of a former life is still there, it holds another lease by now, and is asked.
    const isKnown = gateway !== FORMER_LIFE;
    if (isKnown && !this.#held.has(gateway)) this.#silent.set(gateway, now);
    for (const recall of lease.owes) {
      if (isKnown) recall.inquiry?.doubt();
      this.#excuse(recall, lease);
    }
  }

  #excuse(recall: RecallUnderWay, lease: Lease): void {
    recall.excuse(lease);
    if (recall.isOver) this.#underWay.delete(recall);
  }
}

function isOverdue({ owes }: Lease, now: number): boolean {
  for (const { reason, issuedAt } of owes) if (reason === 'lost') return now - issuedAt >= LOST_PATIENCE_MS;
  return false;
}
