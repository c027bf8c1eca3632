import { StickshiftError } from '../../protocol/errors.ts';

/** ioredis never wrote these: there was no connection when they were due. */
const NEVER_SENT = [
  "Stream isn't writeable and enableOfflineQueue options is false",
  "Cluster isn't ready and enableOfflineQueue options is false",
];

/** The connection ended while an answer was due. A cluster client says so of commands that it never sent, too. */
const BROKEN_OFF = ['Connection is closed.', 'Command aborted due to connection close', 'Cluster is ended.'];

/**
 * Says what a failure of ioredis means for the operation. The original never becomes the `cause`: ioredis hangs the
 * command on it, with a snapshot or the password among its arguments, and loggers print causes.
 */
export function asStoreError(error: unknown, operation: string, server: string): StickshiftError {
  if (error instanceof StickshiftError) return error;
  const { name, message } = error instanceof Error ? error : { name: '', message: String(error) };
  const failed = (code: StickshiftError['code'], what: string) =>
    new StickshiftError(code, `${operation}: ${what} (${server})`);

  if (name === 'ReplyError') {
    return message.startsWith('INVALIDRECORD')
      ? failed('STORE_INVALID', message)
      : failed('STORE_REFUSED', message);
  }
  if (NEVER_SENT.includes(message)) return failed('STORE_UNREACHABLE', 'not connected');
  if (message === 'Command timed out') return failed('STORE_TIMEOUT', 'no answer in time');
  if (name === 'MaxRetriesPerRequestError' || BROKEN_OFF.includes(message)) {
    return failed('STORE_TIMEOUT', 'the connection broke before an answer came');
  }
  if (message.startsWith('Too many Cluster redirections')) return failed('STORE_REFUSED', message);
  // What remains is the decoder's: bytes that are no Redis protocol.
  return failed('STORE_INVALID', message);
}
