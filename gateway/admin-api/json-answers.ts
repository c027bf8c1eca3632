import type { ServerResponse } from 'node:http';
import type { StickshiftError } from '../../protocol/errors.ts';
import type { ApiErrorBody } from './admin-api-types.ts';

export function sendJson(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    // No browser shall take an answer for anything but data.
    'x-content-type-options': 'nosniff',
    ...headers,
  });
  response.end(text);
}

/** Whoever got past the token is an operator and may read the whole message; what went wrong inside is for the log. */
export function sendError(
  response: ServerResponse,
  error: StickshiftError,
  headers: Readonly<Record<string, string>> = {},
): void {
  const { code, retrySafe } = error;
  const message = code === 'INTERNAL' ? error.publicMessage : error.message;
  sendJson(response, error.status, { error: { code, message, retrySafe } } satisfies ApiErrorBody, headers);
}
