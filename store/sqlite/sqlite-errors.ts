import { StickshiftError } from '../../protocol/errors.ts';

/** Primary result codes of SQLite, https://sqlite.org/rescode.html. */
const BUSY = 5;
const LOCKED = 6;
/** The machine does not let us: PERM, READONLY, IOERR, FULL, CANTOPEN, TOOBIG, AUTH. */
const REFUSED: readonly number[] = [3, 8, 10, 13, 14, 18, 23];

/** Another process has the lock. */
export function isBusy(error: unknown): boolean {
  const code = resultCode(error);
  return code === BUSY || code === LOCKED;
}

/** Says what a failure of SQLite means; `what` names the operation and the file. */
export function asStoreError(error: unknown, what: string): StickshiftError {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof StickshiftError) {
    // Errors of the caller keep their words; those about the file get its name.
    return error.source === 'store' ? new StickshiftError(error.code, `${what}: ${message}`) : error;
  }
  const code = resultCode(error);
  const refused = code !== undefined && REFUSED.includes(code);
  return new StickshiftError(refused ? 'STORE_REFUSED' : 'STORE_INVALID', `${what}: ${message}`, {
    cause: error,
  });
}

function resultCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number')
    return undefined;
  // The low byte; the rest is detail.
  return error.errcode & 0xff;
}
