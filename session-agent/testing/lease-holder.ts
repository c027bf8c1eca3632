import { setTimeout as sleep } from 'node:timers/promises';
import type { LeaseAnswer, LeaseRequest, Recall } from '../../protocol/agent-api.ts';
import { StickshiftError } from '../../protocol/errors.ts';

type Call = (request: LeaseRequest) => Promise<Omit<LeaseAnswer, 'incarnation'>>;

/** A gateway as far as leases go: keeps one, and agrees to what is recalled when a test says so. */
export class LeaseHolder implements AsyncDisposable {
  readonly recalls: Recall[] = [];
  /** Why it holds no lease any more. */
  failure: unknown;
  /** Whether, or when, it agrees to a recall. */
  agrees: (recall: Recall) => boolean | Promise<boolean> = () => true;
  readonly #name: string;
  readonly #call: Call;
  #seen = -1;
  #stopped = false;
  #loop: Promise<void> = Promise.resolve();

  private constructor(name: string, call: Call) {
    this.#name = name;
    this.#call = call;
  }

  /** Resolves when it holds a lease. */
  static async start(name: string, call: Call): Promise<LeaseHolder> {
    const holder = new LeaseHolder(name, call);
    // An agent that was just started has yet to hear from its store.
    const isRefused = (error: unknown) => error instanceof StickshiftError && error.code === 'LEASE_REFUSED';
    const begun = () =>
      holder.#ask({}).then(
        () => true,
        (error: unknown) => {
          if (isRefused(error)) return false;
          throw error;
        },
      );
    while (!(await begun())) await sleep(1);
    holder.#loop = holder.#keep();
    return holder;
  }

  /** Every session that was ever recalled, in order. */
  get recalled(): string[] {
    return this.recalls.flatMap(({ sessionIds }) => sessionIds);
  }

  /** As if it had been cut off: it says nothing any more, and its lease runs out. */
  async fallSilent(): Promise<void> {
    this.#stopped = true;
    await this.#loop;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.fallSilent();
    if (!this.failure) await this.#ask({ leave: true });
  }

  /** Until it is told to stop, or the agent is gone. */
  async #keep(): Promise<void> {
    while (!this.#stopped) {
      const answer = await this.#ask({ wait: true }).catch((error: unknown) => {
        this.failure = error;
      });
      if (!answer) return;
      const { recalls } = answer;
      for (const recall of recalls) {
        this.recalls.push(recall);
        void this.#answer(recall);
      }
      // An agent in the same process would otherwise keep the event loop to itself.
      if (recalls.length === 0) await sleep(1);
    }
  }

  async #answer(recall: Recall): Promise<void> {
    if ((await this.agrees(recall)) && !this.#stopped) await this.#ask({ acknowledged: [recall.recall] });
  }

  async #ask(what: Partial<LeaseRequest>): Promise<Omit<LeaseAnswer, 'incarnation'>> {
    const asked = { backend: 'app-1', gateway: this.#name, seen: this.#seen, acknowledged: [], wait: false };
    const answer = await this.#call({ ...asked, ...what });
    if (what.wait || this.#seen < 0) this.#seen = answer.recall;
    return answer;
  }
}
