import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { describe, test } from 'node:test';
import { ReceivedOctets } from './received-octets.ts';

const EARLY_HINTS = 'HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n';

interface Answer {
  readonly statusCode?: number;
  readonly headers?: IncomingMessage['headers'];
  readonly method?: string;
  /** The head, and whatever comes with its last octet. */
  readonly first: readonly string[];
  readonly rest?: readonly string[];
}

function connection() {
  const socket = new PassThrough();
  return { socket, received: new ReceivedOctets(socket) };
}

function receive({ socket, received }: ReturnType<typeof connection>, answer: Answer): boolean {
  const { statusCode = 200, headers = {}, method = 'GET', first, rest = [] } = answer;
  received.begin();
  for (const piece of first) socket.emit('data', Buffer.from(piece, 'latin1'));
  received.head({ statusCode, headers } as IncomingMessage, method);
  for (const piece of rest) socket.emit('data', Buffer.from(piece, 'latin1'));
  return received.isUsedUp();
}

const head = (...fields: readonly string[]) => `${['HTTP/1.1 200 OK', ...fields].join('\r\n')}\r\n\r\n`;
const LENGTH = { 'content-length': '4' };
const CHUNKED = { 'transfer-encoding': 'chunked' };

describe('a connection is used up by', () => {
  const answers: readonly [string, Answer][] = [
    ['a head without a body', { first: ['HTTP/1.1 304\r\n\r\n'], statusCode: 304 }],
    ['an answer to HEAD', { first: [head('Content-Length: 4')], headers: LENGTH, method: 'HEAD' }],
    ['a body of its length', { first: [`${head('Content-Length: 4')}bo`], headers: LENGTH, rest: ['dy'] }],
    [
      'a body that looks like the end of a head',
      { first: [head('Content-Length: 4'), '\r\n\r\n'], headers: LENGTH },
    ],
    ['an empty body', { first: [head('Content-Length: 0')], headers: { 'content-length': '0' } }],
    [
      'chunks',
      {
        first: [head('Transfer-Encoding: chunked')],
        headers: CHUNKED,
        rest: ['1\r\na\r\n0\r', '\n\r', '\n'],
      },
    ],
    [
      'an answer behind an interim head',
      { first: [EARLY_HINTS, `${head('Content-Length: 4')}body`], headers: LENGTH },
    ],
    ['a head in pieces', { first: [...head('Content-Length: 4')], headers: LENGTH, rest: ['body'] }],
  ];
  for (const [name, answer] of answers) {
    test(name, () => assert.equal(receive(connection(), answer), true));

    test(`${name}, but not with an octet behind it`, () => {
      const pieces = [...(answer.rest ?? [])];
      const last = pieces.pop();
      const first =
        last === undefined ? [...answer.first.slice(0, -1), `${answer.first.at(-1)}H`] : answer.first;
      const rest = last === undefined ? pieces : [...pieces, `${last}H`];
      assert.equal(receive(connection(), { ...answer, first, rest }), false);
    });
  }

  test('one answer after the other', () => {
    const used = connection();
    const answer = { first: [`${head('Content-Length: 4')}body`], headers: LENGTH };
    assert.deepEqual([receive(used, answer), receive(used, answer)], [true, true]);
  });
});

test('an answer that ends with its connection never leaves it to another', () => {
  assert.equal(receive(connection(), { first: [head()], rest: ['body'] }), false);
});

test('a connection that brings what nobody has asked for is closed', () => {
  const idle = connection();
  receive(idle, { first: ['HTTP/1.1 304\r\n\r\n'], statusCode: 304 });
  assert.equal(idle.socket.destroyed, false);
  idle.socket.emit('data', Buffer.from('HTTP/1.1 200 OK\r\n'));
  assert.equal(idle.socket.destroyed, true);
});
