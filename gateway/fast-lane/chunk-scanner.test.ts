import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { readAllResponses } from '../../test/services/strict-http.ts';
import { ChunkScanner } from './chunk-scanner.ts';
import { cuts, damaged, octets, tornAt, visibleText } from './testing/octet-streams.ts';

type Wanted = 'frames' | 'data';

const BEFORE = 'head';

/** Scans a body that arrives in pieces, each behind something else, as the first one is behind its head. */
function scan(wants: Wanted, pieces: readonly Buffer[]) {
  const scanner = new ChunkScanner(wants);
  let sent = '';
  let end = 0;
  for (const piece of pieces) {
    if (scanner.state !== 'open') break;
    const bytes = Buffer.concat([Buffer.from(BEFORE), piece]);
    end += scanner.scan(bytes, BEFORE.length) - BEFORE.length;
    const { ranges } = scanner;
    for (let index = 0; index < ranges.length; index += 2) {
      sent += bytes.toString('latin1', ranges[index], ranges[index + 1]);
    }
  }
  return { sent, end, state: scanner.state };
}

const scanWhole = (wants: Wanted, text: string) => scan(wants, [Buffer.from(text, 'latin1')]);

/** A body by the letter of RFC 9112, 7.1, with all of it at hand; `undefined` when it is not whole. */
function readWhole(text: string): { data: string; frames: string; end: number } | undefined {
  let data = '';
  let frames = '';
  let at = 0;
  for (;;) {
    const [line, size] = /^([0-9a-fA-F]{1,13})(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n/.exec(text.slice(at)) ?? [];
    if (line === undefined || size === undefined) return undefined;
    const begin = at + line.length;
    const end = begin + Number.parseInt(size, 16);
    at = end;
    frames += `${size}\r\n`;
    if (end === begin) break;
    if (text.slice(end, end + 2) !== '\r\n') return undefined;
    at += 2;
    data += text.slice(begin, end);
    frames += text.slice(begin, at);
  }
  const [trailers] = /^(?:[\w!#$%&'*+.^`|~-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n/.exec(text.slice(at)) ?? [];
  return trailers === undefined ? undefined : { data, frames: `${frames}\r\n`, end: at + trailers.length };
}

const extension = fc.oneof(
  fc.constant(''),
  visibleText.map((text) => `;${text}`),
);

const chunk = fc
  .tuple(octets({ maxLength: 40 }), fc.constantFrom('', '0', '000'), fc.boolean(), extension)
  .map(([data, zeros, isUpper, ext]) => {
    if (data === '') return '';
    const size = data.length.toString(16);
    return `${zeros}${isUpper ? size.toUpperCase() : size}${ext}\r\n${data}\r\n`;
  });

const trailer = fc
  .tuple(fc.constantFrom('X-Sum', 'a', "!#$%&'*+.^_`|~9"), visibleText)
  .map(([name, value]) => `${name}:${value}\r\n`);

const bodies = fc
  .tuple(
    fc.array(chunk, { maxLength: 5 }),
    fc.constantFrom('0', '000'),
    extension,
    fc.array(trailer, { maxLength: 3 }),
  )
  .map(([chunks, zero, ext, trailers]) => `${chunks.join('')}${zero}${ext}\r\n${trailers.join('')}\r\n`);

describe('a chunked body', () => {
  test('is sent on in its frames, without extensions and trailers, or as its data alone', () => {
    const body = '5;a="b;c"\r\nhello\r\nA\r\n0123456789\r\n000;d\r\nX-Sum: 1\r\nX-More:\r\n\r\n';
    const end = body.length;
    assert.deepEqual(scanWhole('frames', `${body}HTTP/1.1`), {
      sent: '5\r\nhello\r\nA\r\n0123456789\r\n000\r\n\r\n',
      end,
      state: 'done',
    });
    assert.deepEqual(scanWhole('data', `${body}HTTP/1.1`), { sent: 'hello0123456789', end, state: 'done' });
  });

  test('is the same wherever it is torn', () => {
    fc.assert(
      fc.property(bodies, octets({ maxLength: 5 }), cuts, (body, behind, at) => {
        const whole = readWhole(body);
        assert.equal(whole?.end, body.length);
        const pieces = tornAt(body + behind, at);
        assert.deepEqual(scan('frames', pieces), { sent: whole.frames, end: whole.end, state: 'done' });
        assert.deepEqual(scan('data', pieces), { sent: whole.data, end: whole.end, state: 'done' });
      }),
      { numRuns: 500 },
    );
  });

  test('that arrives octet by octet is the same', () => {
    fc.assert(
      fc.property(bodies, (body) => {
        const octetByOctet = [...body].map((octet) => Buffer.from(octet, 'latin1'));
        for (const wants of ['frames', 'data'] as const) {
          assert.deepEqual(scan(wants, octetByOctet), scanWhole(wants, body));
        }
      }),
    );
  });

  test('that is damaged ends where a reader who has all of it at hand sees its end, or not at all', () => {
    fc.assert(
      fc.property(damaged(bodies), cuts, (body, at) => {
        const whole = readWhole(body);
        for (const wants of ['frames', 'data'] as const) {
          const scanned = scanWhole(wants, body);
          assert.deepEqual(scan(wants, tornAt(body, at)), scanned);
          assert.equal(scanned.state === 'done', whole !== undefined);
          if (whole) assert.deepEqual([scanned.sent, scanned.end], [whole[wants], whole.end]);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  test('of which any one octet is another one ends there, too, or not at all', () => {
    const body = Buffer.from('2;a\r\nhi\r\n0;b\r\nX: 1\r\n\r\n', 'latin1');
    for (let at = 0; at < body.length; at++) {
      for (let octet = 0; octet < 256; octet++) {
        const changed = Buffer.from(body);
        changed[at] = octet;
        const text = changed.toString('latin1');
        const whole = readWhole(text);
        for (const wants of ['frames', 'data'] as const) {
          const { sent, end, state } = scanWhole(wants, text);
          const message = JSON.stringify(text);
          assert.equal(state === 'done', whole !== undefined, message);
          if (whole) assert.ok(sent === whole[wants] && end === whole.end, message);
        }
      }
    }
  });

  test('that is damaged is sent on so that whoever forgives nothing reads the same in it, or waits for the rest', () => {
    const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
    fc.assert(
      fc.property(damaged(bodies), (body) => {
        // Sizes that are longer than any chunk are nothing that the strict reader wants to know.
        fc.pre(!/[0-9a-f]{9}/i.test(body));
        const frames = scanWhole('frames', body);
        const reading = readAllResponses(Buffer.from(head + frames.sent, 'latin1'), ['GET'], false);
        if (frames.state === 'done') {
          assert.deepEqual([reading.violation, reading.rest], [undefined, '']);
          assert.deepEqual(
            reading.messages.map((message) => [message.body, message.trailers]),
            [[scanWhole('data', body).sent, []]],
          );
        } else {
          assert.equal(reading.messages.length, 0, 'what was cut off must not look whole');
        }
      }),
      { numRuns: 1_000 },
    );
  });

  test('is open until its very last octet', () => {
    fc.assert(
      fc.property(bodies, fc.nat(), (body, at) => {
        const part = body.slice(0, at % body.length);
        for (const wants of ['frames', 'data'] as const) {
          assert.partialDeepStrictEqual(scanWhole(wants, part), { state: 'open', end: part.length });
        }
      }),
    );
  });

  for (const [what, body] of [
    ['no size', '\r\n'],
    ['a size with a sign', '+5\r\nhello\r\n'],
    ['a size with a prefix', '0x5\r\nhello\r\n'],
    ['a size behind a blank', ' 5\r\nhello\r\n'],
    ['a blank behind its size', '5 \r\nhello\r\n'],
    ['a blank before its extension', '5 ;a\r\nhello\r\n'],
    ['an extension without a size', ';a\r\nhello\r\n'],
    ['a size that ends in a bare LF', '5\nhello\r\n'],
    ['a size that ends in a bare CR', '5\rhello\r\n'],
    ['a bare LF in its extension', '5;a\nb\r\nhello\r\n'],
    ['a bare CR in its extension', '5;a\rb\r\nhello\r\n'],
    ['a NUL in its extension', '5;a\0\r\nhello\r\n'],
    ['more data than its size says', '5\r\nhello!\r\n'],
    ['less data than its size says', '7\r\nhello\r\n0\r\n\r\n'],
    ['data that ends in a bare LF', '5\r\nhello\n0\r\n\r\n'],
    ['data that ends in two CRs', '5\r\nhello\r\r\n'],
    ['a folded trailer', '0\r\nX-Sum: 1\r\n 2\r\n\r\n'],
    ['a trailer without a name', '0\r\n: 1\r\n\r\n'],
    ['a trailer without a colon', '0\r\nX-Sum\r\n\r\n'],
    ['a blank before the colon of its trailer', '0\r\nX-Sum : 1\r\n\r\n'],
    ['a bare LF in its trailer', '0\r\nX-Sum: 1\nX: 2\r\n\r\n'],
    ['a last CR without its LF', '0\r\n\rX'],
  ] as const) {
    test(`with ${what} is none`, () => {
      for (const wants of ['frames', 'data'] as const) assert.equal(scanWhole(wants, body).state, 'invalid');
    });
  }

  test('has sizes of so many digits only as can be counted exactly', () => {
    assert.equal(scanWhole('data', `${'f'.repeat(13)}\r\nx`).state, 'open');
    assert.equal(scanWhole('data', '0000000000001\r\nx\r\n0\r\n\r\n').state, 'done');
    assert.equal(scanWhole('data', '00000000000001').state, 'invalid');
  });

  test('has only so many octets that nobody gets, however they are spread', () => {
    const limit = 16 * 1024;
    const last = '0\r\n\r\n';
    assert.equal(scanWhole('data', `1;${'a'.repeat(limit - 1)}\r\nx\r\n${last}`).state, 'done');
    assert.equal(scanWhole('data', `1;${'a'.repeat(limit)}\r\nx\r\n${last}`).state, 'invalid');
    assert.equal(scanWhole('data', '1;\r\nx\r\n'.repeat(limit) + last).state, 'done');
    assert.equal(scanWhole('data', '1;\r\nx\r\n'.repeat(limit + 1) + last).state, 'invalid');
    assert.equal(scanWhole('data', `0\r\n${'X:\r\n'.repeat(limit / 2)}\r\n`).state, 'done');
    assert.equal(scanWhole('data', `0;\r\n${'X:\r\n'.repeat(limit / 2)}\r\n`).state, 'invalid');
  });
});
