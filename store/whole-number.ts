import { StickshiftError } from '../protocol/errors.ts';

/**
 * Guards what goes into a record. Epochs, seqs and deadlines decide who owns a session: one that was rounded, or is
 * `NaN`, would be compared without any error by Lua and SQLite alike.
 *
 * @throws StickshiftError `INTERNAL`
 */
export function wholeNumber(value: number, what: string): number {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new StickshiftError('INTERNAL', `${what} must be a whole number, not ${value}`);
  }
  return value;
}
