import { configSchema } from '../../config/schema.ts';
import { createAffinityCookies } from '../../gateway/affinity/affinity-cookie.ts';
import { deriveSecrets } from '../../protocol/secrets.ts';
import { GATEWAY_SECRET } from './gateway-under-test.ts';
import type { StrictRequest, StrictResponse } from './strict-http.ts';

/**
 * A message as both lanes must send it: start line and header lines octet for octet, in their order and spelling, and the body with
 * its transfer coding undone, since where chunks end is a matter of timing. Only what is named below is masked.
 */
export interface ComparableMessage {
  readonly lines: readonly string[];
  readonly body: string;
  readonly trailers: readonly (readonly [name: string, value: string])[];
}

/** Affinity cookies of the pool of a `GatewayUnderTest`. */
export const affinityCookies = createAffinityCookies({
  keys: [deriveSecrets(GATEWAY_SECRET).affinity],
  config: configSchema.parse({ secret: GATEWAY_SECRET }).gateway.affinity,
  pool: 'app',
  backendIds: ['app-1'],
});

const HOUR_MS = 3_600_000;

/** @param port - of the backend */
export function comparableRequest({ lines, body, trailers }: StrictRequest, port: number): ComparableMessage {
  // Who sends no Host gets the backend's own address made one, and each lane has a backend of its own.
  const masked = lines.map((line) => line.replace(`127.0.0.1:${port}`, '127.0.0.1:<port>'));
  return { lines: masked, body, trailers };
}

export function comparableAnswer({ lines, body, trailers }: StrictResponse): ComparableMessage {
  // Made by chance for each error answer, which shows it in the body as well.
  const requestId = lines.map((line) => /^X-Request-Id: ([0-9a-f]{16})$/.exec(line)?.[1]).find(Boolean);
  const unnamed = (text: string) => (requestId ? text.replaceAll(requestId, '<request id>') : text);
  return {
    lines: lines.map((line) => unnamed(withoutBinding(withoutDate(line)))),
    body: unnamed(body),
    trailers,
  };
}

/** The gateway's own Date is of now. Any other was the app's, and is compared. */
function withoutDate(line: string): string {
  const [, name, date = ''] = /^(date): (.+ GMT)$/i.exec(line) ?? [];
  return name && Math.abs(Date.parse(date) - Date.now()) < HOUR_MS ? `${name}: <now>` : line;
}

/** An affinity cookie says when it was made and is signed: what it says otherwise takes its place, as does its validity. */
function withoutBinding(line: string): string {
  return line.replace(/^(set-cookie: stickshift=)([^;]*)/i, (_, name: string, value: string) => {
    const verdict = affinityCookies.verify(value, Date.now());
    if (!verdict.ok) return `${name}<${verdict.reason}: ${value}>`;
    const { backend, epoch, session, stamp } = verdict.affinity;
    return `${name}<${backend}, epoch ${epoch}, session ${session}, ${stamp ? 'confirmed' : 'not confirmed'}>`;
  });
}
