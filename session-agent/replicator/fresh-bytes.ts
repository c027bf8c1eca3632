import { hash } from 'node:crypto';
import type { CapturedSession } from '../sources/session-source.ts';

/** Bytes that are due for a commit, and how many of the session's changes they hold. */
export interface FreshBytes {
  readonly captured: CapturedSession;
  readonly digest: string;
  readonly changes: number;
}

/** By this, bytes that the store holds already are recognised. */
export function digestOf(data: Uint8Array): string {
  return hash('sha256', data, 'base64');
}
