import { CHUNKS } from './chunks.ts';
import { FRAMING } from './framing.ts';
import { HEADERS } from './headers.ts';
import { HOP_BY_HOP } from './hop-by-hop.ts';
import type { HostileRequest } from './hostile-request.ts';
import { REQUEST_LINES } from './request-lines.ts';

/**
 * Everything a client may send to make two servers disagree. Any lane of the gateway, and any later one, is
 * held to all of it.
 */
export const HOSTILE_REQUESTS: readonly HostileRequest[] = [
  ...FRAMING,
  ...CHUNKS,
  ...REQUEST_LINES,
  ...HEADERS,
  ...HOP_BY_HOP,
];
