import { head } from '../corpus/hostile-request.ts';
import { newMarker } from './marker.ts';
import type { Random } from './random.ts';

/** What one hostile client does, decided by chance alone. */
export interface ClientStream {
  /** Is in every request of it, in several places, and in those of nobody else. */
  readonly marker: string;
  readonly bytes: Buffer;
  /** Where the bytes are torn, each piece a segment of its own. */
  readonly cuts: readonly number[];
  /** What the client does when it has sent all. */
  readonly ending: 'wait' | 'half-close' | 'abort';
}

/** What parsers stumble over. */
const DICTIONARY = [
  ...[
    '\r\n',
    '\n',
    '\r',
    '\r\n\r\n',
    '\n\n',
    '\r\n ',
    '\0',
    ' ',
    '\t',
    ':',
    ',',
    ';a=b',
    '\x0b',
    '\x7f',
    '\xff',
  ],
  ...['Content-Length: 5\r\n', 'Content-Length: 0\r\n', 'Content-Length: +7\r\n', 'content-length:1,1\r\n'],
  ...[
    'Transfer-Encoding: chunked\r\n',
    'Transfer-Encoding : chunked\r\n',
    'transfer-encoding:\tchunked, x\r\n',
  ],
  ...[
    'Connection: close\r\n',
    'Connection: Host, Cookie\r\n',
    'Upgrade: websocket\r\n',
    'Expect: 100-continue\r\n',
  ],
  ...[
    '0\r\n\r\n',
    'ffffffff\r\n',
    '5\r\n',
    '-1',
    '0x',
    'HTTP/1.0',
    'HTTP/9.9',
    'GET / HTTP/1.1\r\n',
    'Host: x\r\n',
  ],
];

export function clientStream(random: Random): ClientStream {
  const marker = newMarker(random);
  const requests = Array.from({ length: 1 + random.below(4) }, () => request(random, marker));
  // The last one ends the connection, so that a stream that nothing has damaged is answered and over.
  requests.push(head(`GET /${marker} HTTP/1.1`, 'Host: app.test', 'Connection: close'));
  let bytes: Buffer = Buffer.from(requests.join(''), 'latin1');
  // One in five is sound.
  if (random.chance(0.8))
    for (let left = 1 + random.below(4); left > 0; left--) bytes = damaged(random, bytes);
  const cuts = Array.from({ length: random.below(6) }, () => random.below(bytes.length));
  return { marker, bytes, cuts, ending: random.pick(['wait', 'wait', 'half-close', 'abort']) };
}

function request(random: Random, marker: string): string {
  const method = random.pick(['GET', 'GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'HEAD', 'PROPFIND']);
  const lines = [
    `${method} /${marker}?${random.below(1_000)} HTTP/1.1`,
    'Host: app.test',
    `X-Marker: ${marker}`,
  ];
  if (random.chance(0.5)) lines.push(`Cookie: a=1; sid=${marker}; b=2`);
  if (random.chance(0.3)) lines.push('Connection: keep-alive', `X-Pad: ${'p'.repeat(random.below(2_000))}`);
  const body = `${marker} ${'b'.repeat(random.chance(0.1) ? random.below(100_000) : random.below(60))}`;
  switch (random.below(4)) {
    case 0:
      return `${head(...lines, `Content-Length: ${body.length}`)}${body}`;
    case 1:
      return head(...lines, 'Transfer-Encoding: chunked') + chunked(random, body);
    default:
      return head(...lines);
  }
}

export function chunked(random: Random, body: string): string {
  let chunks = '';
  for (let start = 0; start < body.length; ) {
    const chunk = body.slice(start, start + 1 + random.below(body.length));
    chunks += `${chunk.length.toString(16)}\r\n${chunk}\r\n`;
    start += chunk.length;
  }
  return `${chunks}0\r\n\r\n`;
}

export function damaged(random: Random, bytes: Buffer): Buffer {
  // Most of a long body is of no interest: what is damaged lies near some line end.
  const at = near(random, bytes);
  const length = 1 + random.below(random.chance(0.5) ? 4 : 60);
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
  switch (random.below(6)) {
    case 0: {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << random.below(8));
      return flipped;
    }
    case 1:
      return Buffer.concat([before, Buffer.from(random.pick(DICTIONARY), 'latin1'), after]);
    case 2:
      return Buffer.concat([before, after.subarray(length)]);
    case 3:
      return Buffer.concat([before, after.subarray(0, length), after]);
    case 4: {
      const from = near(random, bytes);
      return Buffer.concat([before, bytes.subarray(from, from + length), after]);
    }
    default:
      return random.chance(0.2) ? before : Buffer.concat([before, Buffer.from([random.below(256)]), after]);
  }
}

function near(random: Random, bytes: Buffer): number {
  const anywhere = random.below(bytes.length);
  const lineEnd = bytes.indexOf('\r\n', anywhere);
  if (lineEnd < 0 || random.chance(0.4)) return anywhere;
  return Math.max(0, Math.min(bytes.length - 1, lineEnd - 3 + random.below(8)));
}
