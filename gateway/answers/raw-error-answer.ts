import { STATUS_CODES } from 'node:http';
import type { StickshiftError } from '../../protocol/errors.ts';
import { errorAnswer } from './error-answer.ts';

/** An error answer as HTTP/1.1 bytes, for sockets that have no `ServerResponse`: a head that did not parse, a refused upgrade. */
export function rawErrorAnswer(error: StickshiftError): string {
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
