import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { spool } from './spool.ts';

class Answer extends PassThrough {
  complete = false;
}

test('a body within the limit is read whole', async () => {
  const answer = new Answer();
  const spooled = spool(answer, 10);
  answer.write('hello');
  answer.complete = true;
  answer.end('world');
  assert.deepEqual(await spooled, { outcome: 'whole', body: Buffer.from('helloworld') });
});

test('an empty body is whole', async () => {
  const answer = new Answer();
  const spooled = spool(answer, 0);
  answer.complete = true;
  answer.end();
  assert.deepEqual(await spooled, { outcome: 'whole', body: Buffer.alloc(0) });
});

test('a body past the limit is handed back with what was read, and nothing of the rest is lost', async () => {
  const answer = new Answer();
  const spooled = spool(answer, 4);
  answer.write('hello');
  const overflow = await spooled;
  assert.deepEqual(overflow, { outcome: 'overflow', head: Buffer.from('hello') });
  answer.end(' world');
  const rest = await answer.toArray();
  assert.equal(Buffer.concat(rest).toString(), ' world');
});

test('a body that breaks off is not taken for a whole one', async () => {
  const answer = new Answer();
  const spooled = spool(answer, 100);
  answer.write('hel');
  answer.destroy();
  assert.deepEqual(await spooled, { outcome: 'broken' });
});
