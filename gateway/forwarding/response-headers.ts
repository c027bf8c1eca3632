import { HOP_BY_HOP, nominatedHeaders } from './hop-by-hop.ts';

/** A backend may not strip these from its own answer by naming them in Connection: that is a mistake of its, not a wish. */
const KEPT: ReadonlySet<string> = new Set([
  'set-cookie',
  'content-type',
  'content-length',
  'content-encoding',
  'cache-control',
  'location',
  'vary',
  'date',
]);

/**
 * The headers of a backend's answer for the client: without those of the connection, all others in their order, spelling and
 * number. Transfer-Encoding is gone, and with it a Content-Length beside it, which it overrides (RFC 9112, 6.3).
 *
 * @param rawHeaders - names and values in turn
 * @returns the same form, an array of its own
 */
export function backendResponseHeaders(rawHeaders: readonly string[]): string[] {
  let connection: string | undefined;
  let framedByChunks = false;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string;
    if (name.length === 10 && name.toLowerCase() === 'connection') {
      const value = rawHeaders[index + 1] as string;
      connection = connection === undefined ? value : `${connection}, ${value}`;
    } else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') {
      framedByChunks = true;
    }
  }
  const nominated = nominatedHeaders(connection);
  const kept: string[] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string;
    const lower = name.toLowerCase();
    if (HOP_BY_HOP.has(lower)) continue;
    if (framedByChunks && lower === 'content-length') continue;
    if (nominated?.has(lower) && !KEPT.has(lower)) continue;
    kept.push(name, rawHeaders[index + 1] as string);
  }
  return kept;
}

/** Whether an answer has a body, whatever its headers say (RFC 9112, 6.3). */
export function mayHaveBody(method: string, status: number): boolean {
  return method !== 'HEAD' && status >= 200 && status !== 204 && status !== 304;
}

/**
 * Whether an answer that has no body announces one all the same, as answers to HEAD do. A backend that gets this wrong sends it, and
 * somebody else's next request on the connection would have it for an answer: so there must be no next request.
 *
 */
export function announcesVoidBody(
  method: string,
  status: number,
  { contentLength, isChunked }: { readonly contentLength: number | undefined; readonly isChunked: boolean },
): boolean {
  return !mayHaveBody(method, status) && (isChunked || (contentLength !== undefined && contentLength > 0));
}
