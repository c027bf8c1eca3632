import { StickshiftError } from '../../protocol/errors.ts';
import type { RecordState, RecordSummary, StoredRecord } from '../snapshot-store.ts';

const STATES: readonly string[] = ['active', 'released', 'ended'] satisfies RecordState[];
/** Elements of a summary as `scripts/record.lua` lists them. */
const SUMMARY_LENGTH = 9;

/** A script's reply, read element by element; whatever is not as the script's header says is `STORE_INVALID`. */
export class Reply {
  readonly #operation: string;
  readonly #elements: readonly unknown[];

  constructor(operation: string, reply: unknown) {
    this.#operation = operation;
    if (!Array.isArray(reply)) throw this.invalid('expected a list');
    this.#elements = reply;
  }

  get length(): number {
    return this.#elements.length;
  }

  /** The first element. */
  get outcome(): string {
    return this.text(0);
  }

  /** Reads on as the outcome says. */
  choose<T>(outcomes: Readonly<Record<string, () => T>>): T {
    const { outcome } = this;
    const read = Object.hasOwn(outcomes, outcome) ? outcomes[outcome] : undefined;
    if (read === undefined) throw this.invalid('an outcome that this operation does not have');
    return read();
  }

  text(index: number): string {
    return this.bytes(index).toString('utf8');
  }

  bytes(index: number): Buffer {
    const element = this.#elements[index];
    if (!Buffer.isBuffer(element)) throw this.invalid(`expected a string at ${index}`);
    return element;
  }

  whole(index: number): number {
    const text = this.text(index);
    const number = Number(text);
    if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(number)) {
      throw this.invalid(`expected a whole number at ${index}`);
    }
    return number;
  }

  /** The summary after the outcome. */
  summary(): RecordSummary {
    const state = this.text(1);
    if (!STATES.includes(state)) throw this.invalid('expected a state at 1');
    const committedAt = this.whole(5);
    return {
      state: state as RecordState,
      owner: this.text(2),
      epoch: this.whole(3),
      seq: this.whole(4),
      committedAt,
      deadlines: { idleAt: this.whole(6), absoluteAt: this.text(7) === '' ? undefined : this.whole(7) },
      size: this.whole(8),
      // The server's clock may have been set back since.
      ageMs: Math.max(0, this.whole(9) - committedAt),
    };
  }

  /** Summary and snapshot after the outcome. */
  record(): StoredRecord {
    const summary = this.summary();
    const snapshot = this.bytes(SUMMARY_LENGTH + 1);
    if (snapshot.length !== summary.size)
      throw this.invalid('the snapshot has another size than the record says');
    return { ...summary, snapshot };
  }

  /** After summary and snapshot: whether the record was taken from another owner. */
  get taken(): boolean {
    return this.whole(SUMMARY_LENGTH + 2) === 1;
  }

  invalid(what: string): StickshiftError {
    return new StickshiftError('STORE_INVALID', `${this.#operation}: unexpected reply: ${what}`);
  }
}
