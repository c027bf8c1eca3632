import { type AppAnswer, CHUNKED, chunks, HOST, hello, LENGTH, ok, post } from './app-answer.ts';
import { head } from './hostile-request.ts';
import { SESSION_AFFINITY } from './placeholders.ts';

const LONG_POST = `${head('POST /here HTTP/1.1', HOST, 'Content-Length: 6')}i`;

/** With an octet of the body, since the full lane sends no head before that has come. */
export const EARLY: readonly AppAnswer[] = [
  {
    name: 'an answer before the rest of a body',
    request: LONG_POST,
    method: 'POST',
    rest: 'tem=1',
    raw: hello(),
    early: true,
  },
  {
    name: 'an answer before the rest of a body, with Connection: close',
    request: LONG_POST,
    method: 'POST',
    rest: 'tem=1',
    raw: `${head('HTTP/1.1 413 Too Large', LENGTH, 'Connection: close')}hello`,
    early: true,
  },
  {
    name: 'an answer before the rest of some chunks',
    request: `${head('POST /here HTTP/1.1', HOST, CHUNKED)}3\r\nite\r\n`,
    method: 'POST',
    rest: '3\r\nm=1\r\n0\r\n\r\n',
    raw: hello(),
    early: true,
  },
];

export const STREAMS: readonly AppAnswer[] = [
  {
    name: 'an event stream of chunks',
    raw: chunks('9\r\ndata: a\n\n\r\n9\r\ndata: b\n\n\r\n0\r\n\r\n', 'Content-Type: text/event-stream'),
  },
  {
    name: 'an event stream that ends with the connection',
    raw: `${ok('Content-Type: text/event-stream; charset=utf-8')}data: a\n\n`,
    endAfter: 'data: a',
  },
  {
    name: 'an event stream that sets the session',
    raw: chunks('9\r\ndata: a\n\n\r\n0\r\n\r\n', 'Content-Type: text/event-stream', 'Set-Cookie: sid=new'),
  },
  {
    name: 'the answer to a write to a session',
    request: post(`Cookie: sid=known; stickshift=${SESSION_AFFINITY}`),
    method: 'POST',
    raw: hello(),
  },
  {
    name: 'chunks that answer a write to a session',
    request: post(`Cookie: sid=known; stickshift=${SESSION_AFFINITY}`),
    method: 'POST',
    raw: chunks('5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n', 'Trailer: X-Sum'),
  },
  {
    name: 'a body without a length that answers a write to a session',
    request: post('Cookie: sid=known'),
    method: 'POST',
    raw: `${ok()}hello`,
    ending: 'end',
  },
  {
    name: '204 that answers a write to a session',
    request: post('Cookie: sid=known'),
    method: 'POST',
    raw: head('HTTP/1.1 204 No Content', 'X-Mine: a'),
  },
  {
    name: 'a redirect that answers a login',
    request: post(),
    method: 'POST',
    raw: head('HTTP/1.1 303 See Other', 'Location: /', 'Set-Cookie: sid=new', 'Content-Length: 0'),
  },
  {
    name: 'HEAD that sets the session',
    request: head('HEAD /here HTTP/1.1', HOST),
    method: 'HEAD',
    raw: ok(LENGTH, 'Set-Cookie: sid=new'),
  },
  {
    name: '502 of its own that answers a write to a session',
    request: post('Cookie: sid=known'),
    method: 'POST',
    raw: `${head('HTTP/1.1 502 Bad Gateway', LENGTH)}hello`,
  },
];
