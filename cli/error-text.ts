import { ConfigError } from '../config/problems.ts';
import type { StickshiftError } from '../protocol/errors.ts';

/**
 * What an error says to people. Its code comes first, because `docs/errors.md` has a heading for it; problems of a
 * configuration begin with their place instead, which editors and terminals make clickable.
 */
export function errorText(error: StickshiftError): string {
  return error instanceof ConfigError ? error.message : `${error.code}: ${error.message}`;
}
