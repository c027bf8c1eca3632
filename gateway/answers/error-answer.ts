import { STATUS_CODES } from 'node:http';
import type { ErrorCode, StickshiftError } from '../../protocol/errors.ts';
import { acceptedForm, type ErrorForm } from './accepted-form.ts';
import { proxyStatus } from './proxy-status.ts';

/** How long a client should wait before it repeats a request that had no effect, unless the error knows better. */
const RETRY_AFTER_MS = 1_000;

const ALLOWED_METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';

/** An answer that the gateway makes itself. */
export interface ErrorAnswer {
  readonly status: number;
  /** Without Content-Length and Connection, which are the sender's. */
  readonly headers: Record<string, string>;
  readonly body: string;
}

export interface ErrorAnswerOptions {
  /** The request's Accept header. */
  readonly accept?: string | undefined;
  /** Shown to the client, so that it can be quoted and found in the log. */
  readonly requestId?: string | undefined;
}

/** All that a client may learn of an error: the table's words, never the error's own message. */
interface PublicError {
  readonly code: ErrorCode;
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly retrySafe: boolean;
  readonly requestId: string | undefined;
}

const RENDER: Record<ErrorForm, { readonly type: string; readonly body: (error: PublicError) => string }> = {
  json: { type: 'application/problem+json', body: problemJson },
  html: { type: 'text/html; charset=utf-8', body: page },
  text: { type: 'text/plain; charset=utf-8', body: plainText },
};

/** Makes the answer that tells a client of an error, in the form that it accepts. */
export function errorAnswer(error: StickshiftError, options: ErrorAnswerOptions): ErrorAnswer {
  const { code, status, publicMessage, retrySafe, retryAfterMs = RETRY_AFTER_MS } = error;
  const { type, body } = RENDER[acceptedForm(options.accept)];
  const headers: Record<string, string> = {
    'Content-Type': type,
    'Cache-Control': 'no-store',
    'Proxy-Status': proxyStatus(code),
    'X-Content-Type-Options': 'nosniff',
  };
  if (options.requestId !== undefined) headers['X-Request-Id'] = options.requestId;
  // Whole seconds, and never none: a client that comes back at once is told the same again.
  if (status === 503 && retrySafe) {
    headers['Retry-After'] = String(Math.max(1, Math.ceil(retryAfterMs / 1000)));
  }
  if (status === 405) headers.Allow = ALLOWED_METHODS;
  if (status === 401) headers['WWW-Authenticate'] = 'Bearer';
  const title = STATUS_CODES[status] ?? 'Error';
  return {
    status,
    headers,
    body: body({ code, status, title, detail: publicMessage, retrySafe, requestId: options.requestId }),
  };
}

/** RFC 9457. */
function problemJson({ status, title, detail, code, retrySafe, requestId }: PublicError): string {
  return `${JSON.stringify({ type: 'about:blank', title, status, detail, code, retrySafe, requestId })}\n`;
}

function plainText(error: PublicError): string {
  return `${error.title}\n\n${error.detail}\n${reference(error)}\n`;
}

function page(error: PublicError): string {
  const { title, detail } = error;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escaped(title)}</title>
<h1>${escaped(title)}</h1>
<p>${escaped(detail)}</p>
<p><small>${escaped(reference(error))}</small></p>
</html>
`;
}

/** What somebody who reports the error can quote, and somebody else find. */
function reference({ code, requestId }: PublicError): string {
  return requestId === undefined ? code : `${code}, request ID ${requestId}`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
