import type { PoolConfig } from '../../config/schema.ts';

// RFC 9110, 9.2.1
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

/**
 * Whether an answer has to wait for its commit.
 *
 * @param setsSession - the answer sets, changes or deletes the session ID
 */
export function mustHold(rule: PoolConfig['hold'], method: string, setsSession: boolean): boolean {
  switch (rule) {
    case 'all':
      return true;
    case 'never':
      return false;
    case 'writes':
      return setsSession || !SAFE.has(method);
  }
}
