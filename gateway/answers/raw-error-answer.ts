import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { StickshiftError } from '../../protocol/errors.ts';
import { errorAnswer } from './error-answer.ts';

/** How long a socket stays open behind its error answer: closed at once, with bytes unread, it would reset the answer away. */
const LINGER_MS = 1_000;

/** Ends a socket that has no `ServerResponse` with an error answer: a head that did not parse, a refused upgrade. */
export function endWithError(socket: Duplex, error: StickshiftError): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  socket.end(rawErrorAnswer(error));
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
}

function rawErrorAnswer(error: StickshiftError): string {
  const { status, headers, body } = errorAnswer(error, {});
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}`,
    ...lines,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}
