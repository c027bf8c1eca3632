import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RepeatedHead } from './repeated-head.ts';

const FIELDS = { lines: 'Host: shop.test\r\n', headers: {}, contentLength: -1, keepAlive: true };
const SENT = 'host: shop.test\r\ncookie: a=1\r\nConnection: keep-alive\r\n\r\n';

function noted(): RepeatedHead {
  const head = new RepeatedHead(FIELDS);
  head.note('GET', 'x-forwarded-for: 192.0.2.1\r\n', { cookie: 'a=1' }, SENT);
  return head;
}

test('a head is sent on as it was last time', () => {
  assert.equal(noted().forwarded('GET', 'x-forwarded-for: 192.0.2.1\r\n', { cookie: 'a=1' }), SENT);
});

test('a head is put together anew where anything of it is not as it was', () => {
  const description = 'x-forwarded-for: 192.0.2.1\r\n';
  assert.equal(new RepeatedHead(FIELDS).forwarded('GET', description, {}), undefined, 'nothing was noted');
  assert.equal(noted().forwarded('POST', description, { cookie: 'a=1' }), undefined);
  assert.equal(noted().forwarded('GET', '', { cookie: 'a=1' }), undefined);
  assert.equal(noted().forwarded('GET', description, { cookie: 'b=1' }), undefined);
  assert.equal(noted().forwarded('GET', description, {}), undefined, 'the session has ended');
  const traced = { cookie: 'a=1', traceparent: '00-1-2-01' };
  assert.equal(noted().forwarded('GET', description, traced), undefined, 'a trace is another one each time');
});

test('what is of one request only is not noted', () => {
  const head = new RepeatedHead(FIELDS);
  head.note('GET', '', { cookie: 'a=1', traceparent: '00-1-2-01' }, SENT);
  assert.equal(head.forwarded('GET', '', { cookie: 'a=1' }), undefined);
});
