import type { Recall } from '../../protocol/agent-api.ts';
import type { Inquiry } from './inquiry.ts';
import type { Lease } from './lease.ts';

/** A recall that gateways have yet to agree to. Until then the app may not forget its sessions. */
export class RecallUnderWay {
  readonly recall: number;
  readonly reason: Recall['reason'];
  /** In the time of the lease book, milliseconds. */
  readonly issuedAt: number;
  /** What it is asked for, if it is a question. */
  readonly inquiry: Inquiry | undefined;
  /** Leases that stand in its way: neither has their gateway agreed, nor have they run out. */
  readonly owedBy: Set<Lease>;
  /** Resolves when it is over, or given up. */
  readonly settled: Promise<void>;
  readonly #settle: () => void;
  #isGivenUp = false;

  constructor(
    { recall, reason }: Pick<Recall, 'recall' | 'reason'>,
    issuedAt: number,
    owedBy: Iterable<Lease>,
    inquiry?: Inquiry,
  ) {
    this.recall = recall;
    this.reason = reason;
    this.inquiry = inquiry;
    this.issuedAt = issuedAt;
    this.owedBy = new Set(owedBy);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.settled = promise;
    this.#settle = resolve;
    for (const lease of this.owedBy) lease.owes.add(this);
    if (this.isOver) resolve();
  }

  /** No gateway follows a binding of these sessions any more without asking. */
  get isOver(): boolean {
    return this.owedBy.size === 0 && !this.#isGivenUp;
  }

  /** The gateway has agreed, or holds the lease no more. */
  excuse(lease: Lease): void {
    lease.owes.delete(this);
    this.owedBy.delete(lease);
    if (this.isOver) this.#settle();
  }

  /** Nobody waits for it any more; it never becomes over. */
  giveUp(): void {
    if (this.isOver) return;
    this.#isGivenUp = true;
    for (const lease of this.owedBy) lease.owes.delete(this);
    this.owedBy.clear();
    this.#settle();
  }
}
