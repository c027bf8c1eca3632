import type { Logger } from 'pino';
import { asStickshiftError } from '../protocol/errors.ts';

/**
 * Runs a part of a service's life. An error that ends it is a line of the service's log as well: whoever collects logs may
 * take JSON only, and standard error may go nowhere.
 *
 * @throws StickshiftError
 */
export async function logFatal<T>(logger: Logger, part: () => T | Promise<T>): Promise<T> {
  try {
    return await part();
  } catch (error) {
    const err = asStickshiftError(error);
    logger.fatal({ code: err.code, err }, err.message);
    throw err;
  }
}
