import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RespReader } from './resp.ts';

const STREAM = [
  '+OK\r\n',
  '-ERR no\r\n',
  ':42\r\n',
  '$3\r\na\r\n\r\n',
  '$-1\r\n',
  '_\r\n',
  '*2\r\n$1\r\na\r\n*1\r\n:1\r\n',
  '%1\r\n+a\r\n:1\r\n',
  '>2\r\n+message\r\n+x\r\n',
].join('');

const VALUES = ['OK', { error: 'ERR no' }, 42, 'a\r\n', null, null, ['a', [1]], ['a', 1], ['message', 'x']];

test('every kind of value is read, however the stream is cut', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(STREAM.length), { maxLength: 12 }), (cuts) => {
      const reader = new RespReader();
      const edges = [0, ...cuts.sort((a, b) => a - b), STREAM.length];
      const messages = edges
        .slice(1)
        .flatMap((end, index) => reader.read(Buffer.from(STREAM.slice(edges[index], end), 'latin1')));
      assert.deepEqual(
        messages.map(({ value }) => value),
        VALUES,
      );
      assert.deepEqual(
        messages.map(({ push }) => push),
        VALUES.map((_, index) => index === VALUES.length - 1),
      );
    }),
  );
});

test('what is not the protocol is an error', () => {
  assert.throws(() => new RespReader().read(Buffer.from('HTTP/1.1 200 OK\r\n')), /not the Redis protocol/);
});
