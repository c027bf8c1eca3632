import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { readAllResponses } from '../../test/services/strict-http.ts';
import { answerFlaw } from '../forwarding/response-check.ts';
import { backendResponseHeaders } from '../forwarding/response-headers.ts';
import { AnswerHeadReader, joined } from './answer-head.ts';
import { END_OF_HEAD } from './head-end.ts';
import { damaged, octets, visibleText } from './testing/octet-streams.ts';

/** A head of these lines. */
const head = (...lines: readonly string[]) => `${lines.join('\r\n')}${END_OF_HEAD}`;
const ok = (...lines: readonly string[]) => head('HTTP/1.1 200 OK', ...lines);

/** A reader that has read the head; `undefined` when that is none. */
function read(text: string, reader = new AnswerHeadReader(['x-session'])): AnswerHeadReader | undefined {
  const end = text.indexOf(END_OF_HEAD);
  return end !== -1 && reader.read(text, end) ? reader : undefined;
}

const line = fc
  .tuple(
    fc.oneof(
      fc.constantFrom('Connection', 'connection', 'Content-Length', 'Transfer-Encoding', 'Keep-Alive', 'TE'),
      fc.constantFrom('Set-Cookie', 'set-cookie', 'Date', 'Content-Type', 'X-Session', 'X-Mine', 'x-mine'),
      fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,6}$/),
    ),
    fc.constantFrom(': ', ': ', ': ', ':', ':\t', ':  '),
    fc.oneof(
      fc.constantFrom('1', 'close', 'keep-alive', 'chunked', 'timeout=5', 'X-Mine, Set-Cookie', 'a=1'),
      visibleText,
    ),
    fc.constantFrom('', '', ' ', '\t'),
  )
  .map((parts) => parts.join(''));

const heads = fc
  .tuple(
    fc.constantFrom('HTTP/1.1 200 OK', 'HTTP/1.1 404 Gone fishing', 'HTTP/1.1 204', 'HTTP/1.0 599 '),
    fc.array(line, { maxLength: 8 }),
  )
  .map(([status, lines]) => head(status, ...lines));

describe('an answer’s head', () => {
  test('says its status and its reason', () => {
    for (const [first, status, reason] of [
      ['HTTP/1.1 200 OK', 200, 'OK'],
      ['HTTP/1.1 404 Gone fishing (back at 5)', 404, 'Gone fishing (back at 5)'],
      ['HTTP/1.1 299 Gr\xfc\xdfe\t', 299, 'Gr\xfc\xdfe\t'],
      ['HTTP/1.1 200 ', 200, ''],
      ['HTTP/1.1 200', 200, ''],
      ['HTTP/1.0 200 OK', 200, 'OK'],
      ['HTTP/1.1 100 Continue', 100, 'Continue'],
    ] as const) {
      assert.partialDeepStrictEqual(read(head(first)), { status, reason }, first);
    }
  });

  for (const first of [
    'HTTP/1.2 200 OK',
    'HTTP/2 200 OK',
    'http/1.1 200 OK',
    'HTTP/1.1 20 OK',
    'HTTP/1.1 2000 OK',
    'HTTP/1.1 099 OK',
    'HTTP/1.1 2OO OK',
    'HTTP/1.1  200 OK',
    ' HTTP/1.1 200 OK',
    'HTTP/1.1 200 O\x01K',
    'HTTP/1.1 200 O\x7fK',
    'HTTP/1.1 200 O\rK',
    'HTTP/1.1 200 O\nK',
    'ICY 200 OK',
    'GET / HTTP/1.1',
  ]) {
    test(`cannot begin with ${JSON.stringify(first)}`, () => {
      assert.equal(read(head(first)), undefined);
    });
  }

  test('says how long its body is', () => {
    assert.partialDeepStrictEqual(read(ok()), { contentLength: undefined, isChunked: false });
    assert.partialDeepStrictEqual(read(ok('content-length: \t005 ')), { contentLength: 5, isChunked: false });
    assert.partialDeepStrictEqual(read(ok('Transfer-Encoding: CHUNKED')), {
      contentLength: undefined,
      isChunked: true,
    });
  });

  for (const lines of [
    ['Content-Length: 5', 'Content-Length: 5'],
    ['Content-Length: 5', 'content-length: 6'],
    ['Content-Length: 5', 'Transfer-Encoding: chunked'],
    ['Transfer-Encoding: chunked', 'Content-Length: 5'],
    ['Transfer-Encoding: chunked', 'transfer-encoding: chunked'],
    ['Content-Length: 5, 5'],
    ['Content-Length: -5'],
    ['Content-Length: 0x5'],
    ['Content-Length:'],
    [`Content-Length: ${'9'.repeat(16)}`],
    ['Transfer-Encoding: gzip, chunked'],
    ['Transfer-Encoding: identity'],
    ['Transfer-Encoding:'],
    ['X-Mine : 1'],
    ['X-Mine: 1', ' 2'],
    ['X-Mine: \x01'],
    ['X-Mine'],
  ]) {
    test(`has more readings than one, or none, with ${lines.join(' and ')}`, () => {
      assert.equal(read(ok(...lines)), undefined);
    });
  }

  test('may have more lines than any ordinary one, and no more than are counted', () => {
    assert.equal(read(ok(...Array<string>(4_096).fill('X:1')))?.lines.count, 4_096);
    assert.equal(read(ok(...Array<string>(4_097).fill('X:1'))), undefined);
  });

  test('says whether its connection can be kept', () => {
    const LENGTH = 'Content-Length: 5';
    const old = (...lines: readonly string[]) => head('HTTP/1.0 200 OK', LENGTH, ...lines);
    for (const [text, keepAlive] of [
      [ok(LENGTH), true],
      [ok('Transfer-Encoding: chunked'), true],
      [ok(LENGTH, 'Connection: keep-alive'), true],
      [ok(LENGTH, 'Connection: closed, not-close'), true],
      [ok(LENGTH, 'Connection: close'), false],
      [ok(LENGTH, 'connection: X-Mine ,\tCLOSE'), false],
      [ok(LENGTH, 'Connection: keep-alive', 'Connection: close'), false],
      [old(), false],
      [old('Connection: Keep-Alive'), true],
      [old('Connection: X-Mine', 'Connection: keep-alive'), true],
      [old('Connection: keep-alives'), false],
      // Its body ends with the connection.
      [ok(), false],
      [ok('Connection: keep-alive'), false],
      [head('HTTP/1.1 204 No Content'), true],
      [head('HTTP/1.1 304 Not Modified'), true],
    ] as const) {
      assert.equal(read(text)?.keepAlive, keepAlive, text);
    }
  });

  test('says how long an idle connection is kept', () => {
    for (const [value, ms] of [
      ['timeout=5', 5_000],
      ['max=100, Timeout=72', 72_000],
      ['timeout=0', 0],
      ['timeout', Number.POSITIVE_INFINITY],
      ['timeout=soon', Number.POSITIVE_INFINITY],
      ['idle-timeout=5', Number.POSITIVE_INFINITY],
    ] as const) {
      assert.equal(read(ok(`Keep-Alive: ${value}`))?.keepsForMs, ms, value);
    }
    assert.equal(read(ok())?.keepsForMs, Number.POSITIVE_INFINITY);
  });

  test('says to decisions what Node would say of the same lines', () => {
    const text = ok(
      'Content-Type: text/html',
      'Set-Cookie: a=1',
      'content-type: text/plain',
      'X-Session: one',
      'set-cookie: b=2',
      'x-session: two',
      'Date: today',
      'X-Mine: 1',
    );
    assert.deepEqual(read(text)?.headers, {
      'content-type': 'text/html',
      'set-cookie': ['a=1', 'b=2'],
      'x-session': 'one, two',
      date: 'today',
    });
  });

  test('is read as if none had been read before', () => {
    const told = (text: string, reader?: AnswerHeadReader) => {
      const answer = read(text, reader);
      if (!answer) return undefined;
      const { status, reason, headers, contentLength, isChunked, keepAlive, keepsForMs } = answer;
      const lines = answer.forwardedLines(text);
      return { status, reason, headers, contentLength, isChunked, keepAlive, keepsForMs, lines };
    };
    fc.assert(
      fc.property(fc.array(damaged(heads), { maxLength: 6 }), (texts) => {
        const reader = new AnswerHeadReader(['x-session']);
        for (const text of texts) assert.deepEqual(told(text, reader), told(text));
      }),
    );
  });
});

describe('what there is of an answer’s head', () => {
  test('is waited for when the rest can make a head of it, wherever it was torn', () => {
    const reader = new AnswerHeadReader([]);
    fc.assert(
      fc.property(damaged(heads), fc.nat(), (text, at) => {
        const end = text.indexOf(END_OF_HEAD);
        fc.pre(end !== -1 && reader.read(text, end));
        const begun = text.slice(0, 1 + (at % (end + END_OF_HEAD.length - 1)));
        assert.ok(reader.mayBegin(begun), JSON.stringify(begun));
      }),
    );
  });

  for (const begun of [
    ...['garbage', 'http/', 'HTTP/2', 'HTTP/1.2', 'HTTP/1.1 0', 'HTTP/1.1 20 OK', 'HTTP/1.1 2000\r\n'],
    ...['HTTP/1.1 200 OK\r\nno colon\r\n', 'HTTP/1.1 200 OK\r\nContent-Length: x\r\nX-'],
  ]) {
    test(`is not waited for when it is ${JSON.stringify(begun)}`, () => {
      assert.equal(new AnswerHeadReader([]).mayBegin(begun), false);
    });
  }
});

describe('what is sent on of an answer’s head', () => {
  test('is its lines as they stand, without those of the connection', () => {
    const text = ok(
      'Server: app',
      'Connection: keep-alive',
      'x-a:1',
      'X-B: \t2 ',
      'Keep-Alive: timeout=5',
      'X-Empty:',
      'Set-Cookie: a=1',
      'Content-Length: 5',
    );
    assert.equal(
      read(text)?.forwardedLines(text),
      'Server: app\r\nx-a: 1\r\nX-B: 2\r\nX-Empty: \r\nSet-Cookie: a=1\r\nContent-Length: 5\r\n',
    );
  });

  test('is without what its Connection names, and with what it cannot do without', () => {
    const text = ok('Connection: X-Mine, Set-Cookie', 'x-mine: 1', 'X-Kept: 2', 'Set-Cookie: a=1');
    assert.equal(read(text)?.forwardedLines(text), 'X-Kept: 2\r\nSet-Cookie: a=1\r\n');
  });

  test('is what the full lane sends, octet for octet', () => {
    fc.assert(
      fc.property(damaged(heads), (text) => {
        const answer = read(text);
        if (!answer) return;
        assert.equal(answer.forwardedLines(text), joined(backendResponseHeaders(answer.rawHeaders(text))));
      }),
      { numRuns: 1_000 },
    );
  });

  test('is one head to whoever forgives nothing, of the same headers', () => {
    let taken = 0;
    fc.assert(
      fc.property(damaged(heads), (text) => {
        const answer = read(text);
        if (!answer) return;
        taken += 1;
        const { status, reason } = answer;
        const sent = `HTTP/1.1 ${status} ${reason}\r\n${answer.forwardedLines(text)}\r\n`;
        const { messages, rest, violation } = readAllResponses(Buffer.from(sent, 'latin1'), ['HEAD'], false);
        assert.deepEqual([messages.length, rest, violation], [1, '', undefined]);
        assert.equal(messages[0]?.status, status);
        const kept = backendResponseHeaders(answer.rawHeaders(text));
        assert.deepEqual(
          messages[0]?.headers.flat(),
          kept.map((part, index) => (index % 2 === 0 ? part.toLowerCase() : part)),
        );
      }),
      { numRuns: 1_000 },
    );
    assert.ok(taken > 100, `only ${taken} were taken`);
  });
});

test('both lanes refuse the same statuses, reasons and codings', () => {
  const reasons = fc.oneof(visibleText, octets({ maxLength: 6 })).filter((text) => !/[\r\n]/.test(text));
  const coding = fc.constantFrom('chunked', 'Chunked', 'gzip', 'gzip, chunked', 'identity', 'xchunked', '');
  fc.assert(
    fc.property(
      fc.integer({ min: 100, max: 999 }),
      reasons,
      fc.array(coding, { maxLength: 2 }),
      (status, reason, codings) => {
        const text = head(
          `HTTP/1.1 ${status} ${reason}`,
          ...codings.map((value) => `Transfer-Encoding: ${value}`),
        );
        const answer = read(text);
        // Interim ones are passed over; 101 is refused by whoever asked for nothing of the kind.
        const isTaken = answer !== undefined && answer.status >= 200;
        const flaw = answerFlaw({
          statusCode: status,
          statusMessage: reason,
          headers: codings.length > 0 ? { 'transfer-encoding': codings.join(', ') } : {},
        });
        assert.equal(isTaken, flaw === undefined, String(flaw));
      },
    ),
    { numRuns: 1_000 },
  );
});
