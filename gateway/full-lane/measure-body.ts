import type { IncomingMessage } from 'node:http';
import { StickshiftError } from '../../protocol/errors.ts';

/**
 * True for a request that http-proxy-3 would turn into two: for DELETE and OPTIONS without Content-Length it declares a length
 * of 0 and sends the chunked body all the same, which the backend then reads as the next request on that connection.
 */
export function needsMeasuredBody(request: IncomingMessage): boolean {
  return (
    (request.method === 'DELETE' || request.method === 'OPTIONS') &&
    request.headers['transfer-encoding'] !== undefined
  );
}

/**
 * Reads a body whole, so that its length can be declared.
 *
 * @param limit - bytes
 * @throws StickshiftError `LENGTH_REQUIRED` past the limit, `CLIENT_ABORTED`
 */
export function measureBody(request: IncomingMessage, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > limit) {
        request.pause();
        reject(
          new StickshiftError('LENGTH_REQUIRED', `a chunked ${request.method} body exceeds ${limit} bytes`),
        );
      } else {
        chunks.push(chunk);
      }
    });
    request.once('end', () => resolve(Buffer.concat(chunks)));
    request.once('close', () =>
      reject(new StickshiftError('CLIENT_ABORTED', 'the client went away within its request')),
    );
  });
}
