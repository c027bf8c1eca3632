import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { AnswerBody, type Framing, framingOf } from './answer-body.ts';
import { AnswerHeadReader } from './answer-head.ts';
import { END_OF_HEAD } from './head-end.ts';
import { cuts, octets, tornAt } from './testing/octet-streams.ts';

/** How the answer to that method says where it ends. */
function framing(method: string, status: number, line = 'X-Mine: 1'): Framing {
  const text = `HTTP/1.1 ${status} What\r\n${line}${END_OF_HEAD}`;
  const reader = new AnswerHeadReader([]);
  assert.ok(reader.read(text, text.indexOf(END_OF_HEAD)));
  return framingOf(method, reader);
}

/** Takes pieces until the body is over. */
function take(body: AnswerBody, pieces: readonly Buffer[]) {
  let sent = '';
  let end = 0;
  for (const piece of pieces) {
    if (body.state !== 'open') break;
    end += body.take(piece, 0);
    for (let index = 0; index < body.ranges.length; index += 2) {
      sent += piece.toString('latin1', body.ranges[index], body.ranges[index + 1]);
    }
  }
  return { sent, end, state: body.state };
}

describe('where an answer ends', () => {
  test('is said by its chunks, its length, or the end of the connection', () => {
    assert.equal(framing('GET', 200, 'Transfer-Encoding: chunked'), 'chunks');
    assert.equal(framing('POST', 200, 'Content-Length: 5'), 'length');
    assert.equal(framing('GET', 500, 'Content-Length: 0'), 'length');
    assert.equal(framing('GET', 200), 'close');
  });

  test('is with its head, whatever that announces, when it cannot have a body', () => {
    for (const line of ['X-Mine: 1', 'Content-Length: 5', 'Transfer-Encoding: chunked']) {
      assert.equal(framing('HEAD', 200, line), 'none');
      for (const status of [100, 103, 204, 304]) assert.equal(framing('GET', status, line), 'none');
    }
  });
});

describe('the body of an answer', () => {
  test('of a length has that length, wherever it is torn and whatever is behind it', () => {
    fc.assert(
      fc.property(octets({ maxLength: 40 }), octets({ maxLength: 5 }), cuts, (data, behind, at) => {
        const body = new AnswerBody('length', data.length, 'frames');
        assert.equal(body.state, data === '' ? 'done' : 'open');
        assert.deepEqual(take(body, tornAt(data + behind, at)), {
          sent: data,
          end: data.length,
          state: 'done',
        });
      }),
    );
  });

  test('of a length is open as long as an octet is missing', () => {
    const body = new AnswerBody('length', 5, 'frames');
    assert.deepEqual(take(body, [Buffer.from('he'), Buffer.from('ll')]), {
      sent: 'hell',
      end: 4,
      state: 'open',
    });
    body.close();
    assert.equal(body.state, 'open', 'its connection has ended too early');
  });

  test('that ends with the connection is all that came, and ends then', () => {
    fc.assert(
      fc.property(octets({ maxLength: 40 }), cuts, (data, at) => {
        const body = new AnswerBody('close', 0, 'frames');
        assert.deepEqual(take(body, tornAt(data, at)), { sent: data, end: data.length, state: 'open' });
        body.close();
        assert.equal(body.state, 'done');
      }),
    );
  });

  test('that there is none of is over, and takes nothing', () => {
    const body = new AnswerBody('none', 5, 'frames');
    assert.equal(body.state, 'done');
    assert.equal(body.take(Buffer.from('hello'), 2), 2);
    assert.deepEqual([...body.ranges], [2, 2]);
  });

  test('of chunks is sent on in frames or as data, and ends behind its last one', () => {
    const pieces = [Buffer.from('5;a\r\nhel'), Buffer.from('lo\r\n0\r\nX: 1\r\n\r\nHTTP')];
    const end = 8 + 15;
    assert.deepEqual(take(new AnswerBody('chunks', 0, 'frames'), pieces), {
      sent: '5\r\nhello\r\n0\r\n\r\n',
      end,
      state: 'done',
    });
    assert.deepEqual(take(new AnswerBody('chunks', 0, 'data'), pieces), {
      sent: 'hello',
      end,
      state: 'done',
    });
  });

  test('of chunks that are none is invalid, and the end of the connection does not mend it', () => {
    const body = new AnswerBody('chunks', 0, 'frames');
    assert.equal(take(body, [Buffer.from('5\r\nhello!')]).state, 'invalid');
    body.close();
    assert.equal(body.state, 'invalid');
  });

  test('is taken from where it begins', () => {
    for (const [framing, text] of [
      ['length', 'hello'],
      ['close', 'hello'],
      ['chunks', '5\r\nhello\r\n0\r\n\r\n'],
    ] as const) {
      const body = new AnswerBody(framing, 5, 'frames');
      const piece = Buffer.from(`head${text}`);
      assert.equal(body.take(piece, 4), piece.length);
      assert.deepEqual([...body.ranges], [4, piece.length], framing);
    }
  });
});
