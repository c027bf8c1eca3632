import { ANSWER_FRAMING, BODILESS, BROKEN_FRAMING } from './answer-framing.ts';
import { ANSWER_HEADERS, INTERIM, STATUS_LINES } from './answer-heads.ts';
import { EARLY, STREAMS } from './answer-times.ts';
import { type AppAnswer, CHUNKED, chunks, hello, LENGTH, ok } from './app-answer.ts';
import { head } from './hostile-request.ts';

/**
 * The one table of what the lanes may do differently: the fast lane does as the full lane does, or answers 502. Most of it is what
 * Node's parser lets through although no app server should say it.
 */
const REFUSABLE: readonly AppAnswer[] = [
  ...[
    { name: 'status 600', raw: `${head('HTTP/1.1 600 Odd', LENGTH)}hello` },
    { name: 'status 999', raw: `${head('HTTP/1.1 999 Odd', LENGTH)}hello` },
  ].map((answer) => ({ ...answer, refusable: 'RFC 9110, 15: a status is within 100 and 599' })),
  ...[
    { name: 'HTTP/2.0', raw: `${head('HTTP/2.0 200 OK', LENGTH)}hello`, statuses: [200] },
    { name: 'RTSP/1.0', raw: `${head('RTSP/1.0 200 OK', LENGTH)}hello`, statuses: [200] },
  ].map((answer) => ({ ...answer, refusable: 'it is no version of HTTP/1' })),
  {
    name: 'an empty line before the answer',
    raw: `\r\n${hello()}`,
    statuses: [200],
    refusable: 'RFC 9112, 2.2 has servers ignore one before a request, and nobody before an answer',
  },
  ...[
    { name: 'chunked twice', raw: `${ok(CHUNKED, CHUNKED)}5\r\nhello\r\n0\r\n\r\n` },
    {
      name: 'a coding behind chunked',
      raw: `${ok('Transfer-Encoding: chunked, gzip')}5\r\nhello\r\n0\r\n\r\n`,
      ending: 'end' as const,
    },
    {
      name: 'a coding that nobody knows',
      raw: `${ok('Transfer-Encoding: xchunked')}hello`,
      ending: 'end' as const,
    },
    { name: 'the coding identity', raw: `${ok('Transfer-Encoding: identity')}hello`, ending: 'end' as const },
    { name: 'gzip, then chunked', raw: `${ok('Transfer-Encoding: gzip, chunked')}5\r\nhello\r\n0\r\n\r\n` },
  ].map((answer) => ({
    ...answer,
    // Without its coding, which is of the connection, the body is not what it was.
    statuses: [502],
  })),
  ...[
    ...['5x', '-5', ' 5', '', '5 5', '0x5', 'FFFFFFFFFFFFFFFFF'].map((size) => ({
      name: `a second chunk of size ${JSON.stringify(size)}`,
      raw: chunks(`2\r\nok\r\n${size}\r\nhello\r\n0\r\n\r\n`),
    })),
    { name: 'a second chunk longer than it says', raw: chunks('2\r\nok\r\n3\r\nhello\r\n0\r\n\r\n') },
    { name: 'a second chunk behind a bare LF', raw: chunks('2\r\nok\n5\r\nhello\r\n0\r\n\r\n') },
    { name: 'a malformed trailer', raw: chunks('2\r\nok\r\n0\r\nno colon\r\n\r\n') },
  ].map((answer) => ({
    ...answer,
    statuses: [],
    refusable: 'whether the head has gone out when its body turns out to be broken is a matter of timing',
  })),
];

/** What app servers say, well and badly. */
export const APP_ANSWERS: readonly AppAnswer[] = [
  ...ANSWER_FRAMING,
  ...BODILESS,
  ...INTERIM,
  ...STATUS_LINES,
  ...ANSWER_HEADERS,
  ...BROKEN_FRAMING,
  ...EARLY,
  ...STREAMS,
  ...REFUSABLE,
];
