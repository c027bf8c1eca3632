import fc from 'fast-check';
import { head } from './hostile-request.ts';
import { AFFINITY, SESSION_AFFINITY } from './placeholders.ts';

/** Bytes in one or more pieces, with the positions at which they are torn. */
export interface Torn {
  readonly raw: string;
  readonly cuts: readonly number[];
}

const likely = <T>(good: fc.Arbitrary<T>, bad: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 40, arbitrary: good }, { weight: 1, arbitrary: bad });
const oneOf = (...values: readonly string[]) => fc.constantFrom(...values);

const METHOD = likely(
  oneOf('GET', 'GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND'),
  oneOf('get', 'BREW', 'TRACE', 'G ET', '', 'GET\t', '\x00'),
);
const TARGET = likely(
  fc.oneof(
    oneOf('/', '/a/../b?c', '/?', '//x'),
    fc.stringMatching(/^\/[!-"$-;=-~]{0,20}$/).filter((target) => target !== '/healthz'),
  ),
  oneOf('*', 'http://app.test/x', '', 'x', '/a b', '/a\x01', '/\xe9', '/#a', 'http://other.test/'),
);
const VERSION = likely(
  oneOf(...Array<string>(9).fill('HTTP/1.1'), 'HTTP/1.0'),
  oneOf('HTTP/1.2', 'HTTP/2.0', 'http/1.1', ''),
);
const HOST = likely(
  oneOf('Host: app.test', 'host:app.test:81'),
  oneOf('Host: a b', 'X: y', 'Host: a\r\nHost: a'),
);
const LINE_END = fc.oneof(
  { weight: 100, arbitrary: fc.constant('\r\n') },
  { weight: 1, arbitrary: oneOf('\n', '\r', '\r\r\n', '\r\n ') },
);

const VALUE = fc.stringMatching(/^[ -~\x80-\xff]{0,12}$/);
const OWN = fc
  .tuple(fc.stringMatching(/^X-[a-zA-Z0-9_-]{1,6}$/), VALUE)
  .map(([name, value]) => `${name}: ${value}`);
const HEADER = likely(
  fc.oneof(
    OWN,
    oneOf(
      'Accept: text/html',
      'Connection: close',
      'Connection: keep-alive, X-A',
      'X-A: a',
      'x-a:b',
      'TE: trailers',
      'Expect: 100-continue',
      'X-Forwarded-For: 10.0.0.1',
      'X_Forwarded_For: 10.0.0.1',
      'Cookie: a=1; sid=known',
      `Cookie: a=1; stickshift=${AFFINITY}`,
      `cookie: stickshift=${SESSION_AFFINITY};sid=known`,
      'Cookie: stickshift=x',
      'Upgrade: h2c',
      'Content-Type: text/plain',
      '7: a',
    ),
  ),
  oneOf(
    'X : a',
    ': a',
    'X',
    'X: a\x00',
    'X: a\x01',
    ' X: a',
    'X: a\r\n b',
    'X(: a',
    'Connection: Cookie',
    'X: \x7f',
  ),
);

interface Body {
  readonly headers: readonly string[];
  readonly bytes: string;
}
const BYTES = fc.string({
  unit: fc.integer({ min: 0, max: 255 }).map((octet) => String.fromCharCode(octet)),
  maxLength: 40,
});
const SIZED: fc.Arbitrary<Body> = fc
  .tuple(BYTES, likely(fc.constant(0), fc.integer({ min: -3, max: 3 })))
  .map(([bytes, error]) => ({ headers: [`Content-Length: ${Math.max(0, bytes.length + error)}`], bytes }));
const SIZE_FORM = likely(
  oneOf('{}', '{}', '0{}', '{};a=b'),
  oneOf('+{}', '0x{}', '{}g', ' {}', '{} ', '', '{}\n', '-{}'),
);
const CHUNK = fc
  .tuple(
    BYTES.filter(({ length }) => length > 0),
    SIZE_FORM,
    likely(fc.constant('\r\n'), oneOf('', '\n', 'x\r\n')),
  )
  .map(([bytes, form, end]) => `${form.replace('{}', bytes.length.toString(16))}\r\n${bytes}${end}`);
const CHUNKED: fc.Arbitrary<Body> = fc
  .tuple(
    fc.array(CHUNK, { maxLength: 3 }),
    likely(
      oneOf('0\r\n\r\n', '0\r\n\r\n', '000\r\n\r\n', '0\r\nX: a\r\n\r\n'),
      oneOf('0\r\n', '', '0\n\n', '0\r\nX\r\n\r\n'),
    ),
  )
  .map(([chunks, last]) => ({ headers: ['Transfer-Encoding: chunked'], bytes: chunks.join('') + last }));
const MISFRAMED: fc.Arbitrary<Body> = oneOf(
  'Content-Length: 2\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding: chunked\r\nContent-Length: 0',
  'Content-Length: 2\r\nContent-Length: 2',
  'Content-Length: +2',
  'Content-Length: 2, 2',
  'Content-Length : 2',
  'Transfer-Encoding : chunked',
).map((line) => ({ headers: [line], bytes: '2\r\nok\r\n0\r\n\r\n' }));
const NO_BODY = fc.constant<Body>({ headers: [], bytes: '' });

function message(startLine: fc.Arbitrary<string>, headers: fc.Arbitrary<string[]>, body: fc.Arbitrary<Body>) {
  return fc
    .tuple(startLine, headers, body, LINE_END, LINE_END)
    .map(([line, fields, { headers: framing, bytes }, end, last]) =>
      [line, end, ...[...fields, ...framing].flatMap((field) => [field, '\r\n']), last, bytes].join(''),
    );
}

const REQUEST = message(
  fc.tuple(METHOD, TARGET, VERSION).map((parts) => parts.join(' ')),
  fc.tuple(HOST, fc.array(HEADER, { maxLength: 5 })).map(([host, headers]) => [host, ...headers]),
  fc.oneof(
    { weight: 12, arbitrary: NO_BODY },
    { weight: 8, arbitrary: SIZED },
    { weight: 4, arbitrary: CHUNKED },
    MISFRAMED,
  ),
);

const STATUS_LINE = likely(
  oneOf(
    'HTTP/1.1 200 OK',
    'HTTP/1.1 404 Not here',
    'HTTP/1.1 204 ',
    'HTTP/1.1 304',
    'HTTP/1.1 500 \xe9',
    'HTTP/1.0 200 OK',
  ),
  oneOf(
    'HTTP/1.1 20 OK',
    'HTTP/1.1 2000 OK',
    'HTTP/1.3 200 OK',
    'HTTP/1.1  200 OK',
    'ICY 200 OK',
    'http/1.1 200 OK',
    'HTTP/1.1',
  ),
);
const ANSWER_HEADER = likely(
  fc.oneof(
    OWN,
    oneOf(
      'Set-Cookie: a=1',
      'set-cookie: b=2',
      'Set-Cookie: sid=new; Path=/',
      'Set-Cookie: sid=; Max-Age=0',
      'Cache-Control: public, max-age=9',
      'cache-control: no-store',
      'CDN-Cache-Control: max-age=9',
      'Connection: close',
      'Connection: keep-alive, X-A',
      'X-A: a',
      'Keep-Alive: timeout=1',
      'Date: Mon, 01 Jan 2024 00:00:00 GMT',
      'Content-Type: text/event-stream',
      'Content-Type: text/plain',
      'Vary: *',
    ),
  ),
  oneOf('X : a', ': a', 'X', 'X: a\x00', 'X: a\x01', ' X: a', 'X: a\r\n b', 'X(: a', 'X: a\nY: b'),
);
const INTERIM = oneOf('', '', '', head('HTTP/1.1 100 Continue'), head('HTTP/1.1 103 Early Hints', 'Link: a'));
const ANSWER = fc
  .tuple(
    INTERIM,
    message(
      STATUS_LINE,
      fc.array(ANSWER_HEADER, { maxLength: 5 }),
      fc.oneof(
        { weight: 4, arbitrary: BYTES.map((bytes) => ({ headers: [], bytes })) },
        { weight: 8, arbitrary: SIZED },
        { weight: 8, arbitrary: CHUNKED },
        MISFRAMED,
      ),
    ),
  )
  .map((parts) => parts.join(''));

const CUTS = fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 4 });
const LAST = head('GET /last HTTP/1.1', 'Host: app.test', 'Connection: close');

/**
 * One to three requests, most of them sound, and behind them one that ends the connection; whatever is wrong with the others, more
 * bytes follow, so that nobody waits for the end of anything.
 */
export const GENERATED_REQUESTS: fc.Arbitrary<Torn & { readonly methods: readonly string[] }> = fc
  .tuple(fc.array(REQUEST, { minLength: 1, maxLength: 3 }), CUTS)
  .map(([requests, cuts]) => ({
    raw: [...requests, LAST].join(''),
    cuts,
    methods: [...requests, LAST].map((request) => /^[A-Z]*/.exec(request)?.[0] ?? ''),
  }));

/** One answer, most of them sound. The app server must close behind it. */
export const GENERATED_ANSWERS: fc.Arbitrary<Torn> = fc.record({ raw: ANSWER, cuts: CUTS });
