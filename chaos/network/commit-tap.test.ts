import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commitTap, type ObservedCommit } from './commit-tap.ts';

const command = (...parts: string[]) =>
  Buffer.from(`*${parts.length}\r\n${parts.map((part) => `$${part.length}\r\n${part}\r\n`).join('')}`);

test('tells of the commits that took effect, and of no others', () => {
  const commits: Omit<ObservedCommit, 'at'>[] = [];
  const tap = commitTap(({ at: _, ...commit }) => commits.push(commit));
  tap.forward(command('EVALSHA', 'sha', '1', 'stickshift:{one}', 'express-1', '3', '7', '0', '', 'bytes'));
  tap.forward(command('SUBSCRIBE', 'channel'));
  tap.forward(command('PING'));
  tap.forward(command('EVALSHA', 'sha', '1', 'stickshift:{two}', 'express-1', '1', '1', '0', '', 'bytes'));
  tap.backward(Buffer.from('*1\r\n$9\r\ncommitted\r\n'));
  tap.backward(Buffer.from('*3\r\n$9\r\nsubscribe\r\n$7\r\nchannel\r\n:1\r\n'));
  tap.backward(Buffer.from('+PONG\r\n>1\r\n+invalidate\r\n'));
  tap.backward(Buffer.from('*3\r\n$6\r\nfenced\r\n$9\r\nexpress-2\r\n$1\r\n2\r\n'));
  assert.deepEqual(commits, [{ key: 'one', owner: 'express-1', epoch: 3, seq: 7 }]);
});
