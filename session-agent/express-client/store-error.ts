/**
 * What the store's callbacks get. `code` is the agent's (`FENCED`, `ENDED`, …) or `UNAVAILABLE` when the agent did not
 * answer in time. `status` makes Express answer 503 rather than 500.
 */
export class StickshiftStoreError extends Error {
  // Never ENOENT (a missing socket file is one): express-session takes it for "no such session" and mints a new one.
  readonly code: string;
  readonly status = 503;

  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'StickshiftStoreError';
    this.code = code;
  }
}
