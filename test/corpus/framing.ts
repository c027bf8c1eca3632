import { type HostileRequest, head, smuggledRequest } from './hostile-request.ts';

const post = (...lines: readonly string[]) => head('POST /here HTTP/1.1', 'Host: app.test', ...lines);
const emptyChunked = '0\r\n\r\n';

/** Where a body ends, by Content-Length and Transfer-Encoding: RFC 9112, 6. */
export const FRAMING: readonly HostileRequest[] = [
  {
    name: 'Content-Length before Transfer-Encoding (CL.TE)',
    raw: post('Content-Length: 6', 'Transfer-Encoding: chunked') + emptyChunked + smuggledRequest,
    refused: [400],
  },
  {
    name: 'Transfer-Encoding before Content-Length (TE.CL)',
    raw: `${post('Transfer-Encoding: chunked', 'Content-Length: 4')}5c\r\n${smuggledRequest}0\r\n\r\n`,
    refused: [400],
  },
  {
    name: 'Content-Length: 0 beside chunks (0.CL)',
    raw: post('Content-Length: 0', 'Transfer-Encoding: chunked') + emptyChunked,
    refused: [400],
  },
  ...[
    'xchunked',
    'chunked, identity',
    'identity, chunked, identity',
    'identity',
    'chunked, chunked',
    'gzip',
    'gzip, chunked',
    'chunked;q=1',
    '"chunked"',
    '\x0bchunked',
    'chunked\x0b',
    'chunked\x00',
    ', chunked',
    'cow',
    '',
  ].map((coding) => ({
    name: `Transfer-Encoding: ${JSON.stringify(coding)} (TE.TE)`,
    raw: post(`Transfer-Encoding: ${coding}`) + emptyChunked + smuggledRequest,
    // 501 for a coding that exists and is not understood.
    refused: [400, 501],
  })),
  {
    name: 'a second Transfer-Encoding that hides the first',
    raw: post('Transfer-Encoding: chunked', 'Transfer-encoding: cow') + emptyChunked + smuggledRequest,
    refused: [400, 501],
  },
  {
    name: 'chunked twice, in two headers',
    raw: post('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked') + emptyChunked + smuggledRequest,
    refused: [400],
  },
  {
    name: 'Transfer-Encoding in a folded header',
    raw: post('Transfer-Encoding:', ' chunked') + emptyChunked + smuggledRequest,
    refused: [400],
  },
  {
    name: 'Transfer-Encoding in the fold of another header',
    raw: post('Content-Length: 5', 'X-Fold: a', ' Transfer-Encoding: chunked') + emptyChunked,
    refused: [400],
  },
  {
    name: 'a space before the colon of Transfer-Encoding',
    raw: post('Transfer-Encoding : chunked') + emptyChunked + smuggledRequest,
    refused: [400],
  },
  {
    name: 'Transfer-Encoding behind a bare LF',
    raw: post('X-Line: a\nTransfer-Encoding: chunked') + emptyChunked + smuggledRequest,
    refused: [400],
  },
  {
    name: 'Transfer-Encoding behind a bare CR',
    raw: post('X-Line: a\rTransfer-Encoding: chunked') + emptyChunked + smuggledRequest,
    refused: [400],
  },
  {
    name: 'chunks in HTTP/1.0, which does not know them',
    raw:
      head('POST /here HTTP/1.0', 'Host: app.test', 'Connection: keep-alive', 'Transfer-Encoding: chunked') +
      emptyChunked,
    refused: [400],
    why: 'RFC 9112, 6.1: the message has been through something that did not understand it',
  },
  {
    name: 'the coding in capitals',
    raw: `${post('Transfer-Encoding: CHUNKED')}5\r\nhello\r\n0\r\n\r\n`,
    forwarded: [{ method: 'POST', target: '/here', body: 'hello' }],
  },
  {
    name: 'the coding between tabs',
    raw: `${post('Transfer-Encoding:\tchunked\t')}5\r\nhello\r\n0\r\n\r\n`,
    forwarded: [{ body: 'hello' }],
    refused: [400],
  },
  {
    name: 'Content-Length twice with different values',
    raw: `${post('Content-Length: 5', 'Content-Length: 6')}hello!`,
    refused: [400],
  },
  {
    name: 'Content-Length twice with the same value',
    raw: `${post('Content-Length: 5', 'Content-Length: 5')}hello`,
    refused: [400],
    forwarded: [{ body: 'hello', headers: { 'content-length': '5' } }],
  },
  {
    name: 'Content-Length twice in one header',
    raw: `${post('Content-Length: 5, 5')}hello`,
    refused: [400],
    forwarded: [{ body: 'hello', headers: { 'content-length': '5' } }],
  },
  ...['+5', '-5', '0x5', '5 5', '5,6', '5;', '', '५', '1e1', '5.0', '99999999999999999999', '\x0b5'].map(
    (length) => ({
      name: `Content-Length: ${JSON.stringify(length)}`,
      raw: `${post(`Content-Length: ${Buffer.from(length, 'utf8').toString('latin1')}`)}hello`,
      refused: [400, 413],
    }),
  ),
  {
    name: 'a length with leading zeros',
    raw: `${post('Content-Length: 0000000005')}hello`,
    forwarded: [{ body: 'hello' }],
    refused: [400],
  },
  {
    name: 'a space before the colon of Content-Length',
    raw: `${post('Content-Length : 5')}hello`,
    refused: [400],
  },
  {
    name: 'a Content-Length with spaces around it',
    raw: `${post('Content-Length:   5  ')}hello`,
    forwarded: [{ body: 'hello' }],
  },
  {
    name: 'a body that nobody announced',
    raw: `${post()}hello=world\r\n\r\n`,
    // The body is the next request, and a bad one: the app server sees the first only.
    forwarded: [{ method: 'POST', target: '/here', body: '' }],
    thenRefused: [400],
  },
  {
    name: 'a Content-Length spelt with an underscore',
    raw: `${post('Content_Length: 39')}${smuggledRequest.replace('/smuggled', '/second')}`,
    forwarded: [{ target: '/here', body: '' }, { target: '/second' }],
    refused: [400],
    why: 'a CGI-like app reads CONTENT_LENGTH from either spelling',
  },
];
