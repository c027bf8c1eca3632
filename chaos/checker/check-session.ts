import type { Operation } from '../history/history.ts';
import type { Violation, ViolationKind } from './verdict.ts';

/**
 * Follows one session through the operations of its only client, which come one after the other. What an acknowledged
 * answer shows must begin with all that was acknowledged or shown before, in the same order. What was never acknowledged
 * may appear late, once, behind that.
 *
 * A login or logout that was not acknowledged may have happened, and may still happen: from then on the session may be
 * gone as a whole, never in part.
 */
export function checkSession(operations: readonly Operation[]): Violation[] {
  return new SessionCheck(operations).violations;
}

class SessionCheck {
  readonly violations: Violation[] = [];
  readonly #operations: readonly Operation[];
  readonly #invoked = new Set<string>();
  readonly #lost = new Set<string>();
  #expected: readonly string[] = [];
  #generation: string | null = null;
  #state: 'alive' | 'may be gone' | 'gone' | 'logged out' = 'alive';

  constructor(operations: readonly Operation[]) {
    this.#operations = operations;
    for (const [index, operation] of operations.entries()) this.#follow(operation, index);
    this.#checkFinals();
  }

  #follow(operation: Operation, index: number): void {
    const { kind, token, answer } = operation;
    if (token !== undefined) this.#invoked.add(token);
    if (answer === undefined) {
      const ends = kind === 'login' || kind === 'logout';
      if (ends && this.#state === 'alive') this.#state = 'may be gone';
      return;
    }
    if (this.#state === 'logged out') {
      this.#checkDead(operation, 'it was logged out');
      return;
    }
    if (kind === 'logout') {
      this.#state = 'logged out';
      this.#checkDead(operation, 'this is the answer to its logout');
      return;
    }
    if (this.#state === 'gone') return;
    if (this.#state === 'may be gone' && answer.generation !== this.#generation) {
      const remains = answer.tokens.filter((one) => this.#expected.includes(one));
      if (remains.length === 0) {
        this.#state = 'gone';
        return;
      }
    }
    this.#generation ??= answer.generation;
    this.#checkAnswer(operation, index);
  }

  #checkAnswer(operation: Operation, index: number): void {
    const { tokens = [] } = operation.answer ?? {};
    const shown = new Set(tokens);
    const due = operation.token === undefined ? this.#expected : [...this.#expected, operation.token];
    const missing = due.filter((token) => !shown.has(token) && !this.#lost.has(token));
    const foreign = tokens.filter((token) => !this.#invoked.has(token));
    const twice = tokens.filter((token, at) => tokens.indexOf(token) !== at);

    const back = missing.filter((token) => this.#isShownLater(token, index));
    const lost = missing.filter((token) => !back.includes(token));
    for (const token of lost) this.#lost.add(token);
    if (lost.length > 0)
      this.#report('lost', operation, lost, 'acknowledged or shown before, and never again');
    if (back.length > 0) this.#report('gone-back', operation, back, 'there before and later, but not here');
    if (foreign.length > 0) this.#report('foreign', operation, foreign, 'nobody appended this here');
    if (twice.length > 0) this.#report('duplicated', operation, twice, 'appended once');
    if (missing.length === 0 && twice.length === 0 && !this.#isInOrder(operation, tokens)) {
      this.#report('reordered', operation, tokens, `expected to begin with ${this.#expected.join(' ')}`);
    }
    // From here on the session is held to what it shows now, so that one fault is not reported at every answer.
    this.#expected = back.length > 0 ? this.#expected.filter((token) => !this.#lost.has(token)) : tokens;
  }

  #isInOrder({ token }: Operation, tokens: readonly string[]): boolean {
    const expected = this.#expected.filter((one) => !this.#lost.has(one));
    const begins = expected.every((one, at) => tokens[at] === one);
    return begins && (token === undefined || tokens.at(-1) === token);
  }

  #isShownLater(token: string, index: number): boolean {
    return this.#operations.slice(index + 1).some(({ answer }) => answer?.tokens.includes(token));
  }

  #checkDead(operation: Operation, why: string): void {
    const { tokens = [], generation = null } = operation.answer ?? {};
    const own = tokens.filter((token) => this.#invoked.has(token));
    const isSame = generation !== null && generation === this.#generation;
    if (own.length > 0 || isSame) this.#report('resurrected', operation, own, why);
  }

  /** When everything has healed, both gateways give the same answer. */
  #checkFinals(): void {
    const finals = this.#operations.filter(({ kind }) => kind === 'final');
    const [last] = finals.slice(-1);
    if (last === undefined) return;
    for (const gateway of new Set(finals.map((operation) => operation.gateway))) {
      const of = finals.filter((operation) => operation.gateway === gateway);
      const answered = of.find(({ answer }) => answer !== undefined);
      if (!answered) {
        this.#report(
          'unanswered',
          of.at(-1) ?? last,
          [],
          `${of.length} attempts, the last: ${of.at(-1)?.detail}`,
        );
      } else if (last.answer && answered.answer?.tokens.join() !== last.answer.tokens.join()) {
        this.#report('disagreement', answered, [], `${last.gateway} says ${last.answer.tokens.join(' ')}`);
      }
    }
  }

  #report(kind: ViolationKind, operation: Operation, tokens: readonly string[], why: string): void {
    const { session, key, number, answer, gateway } = operation;
    const from = answer === undefined ? gateway : `${answer.server} through ${gateway}`;
    this.violations.push({
      kind,
      session,
      key,
      operation: number,
      tokens,
      message: `${operation.kind} at ${from}: ${why}`,
    });
  }
}
