import type { Operation, OperationKind, Outcome } from '../history/history.ts';

/** A history written by hand: each line is an operation of session 1, a moment after the one before. */
export class WrittenHistory {
  readonly operations: Operation[] = [];

  /** An answer: tokens without their session, such as `1 2`; empty for an empty session. */
  ok(kind: OperationKind, tokens: string, more: Partial<Operation> = {}): this {
    const shown = tokens === '' ? [] : tokens.split(' ').map((token) => `1.${token}`);
    return this.#add(kind, 'ok', {
      answer: { server: 'express-1', generation: shown.length > 0 ? 'g' : null, tokens: shown },
      ...more,
    });
  }

  append(token: string, tokens: string): this {
    return this.ok('append', tokens, { token: `1.${token}` });
  }

  failed(kind: OperationKind, token?: string, outcome: Outcome = 'indeterminate'): this {
    return this.#add(kind, outcome, token === undefined ? {} : { token: `1.${token}` });
  }

  #add(kind: OperationKind, outcome: Outcome, more: Partial<Operation>): this {
    const number = this.operations.length + 1;
    this.operations.push({
      number,
      pool: 'express',
      session: 1,
      kind,
      gateway: 'gateway-1',
      key: 'key',
      invokedAt: 10 * number,
      completedAt: 10 * number + 5,
      outcome,
      detail: '',
      ...more,
    });
    return this;
  }
}
