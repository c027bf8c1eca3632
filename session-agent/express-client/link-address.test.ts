import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLinkAddress } from './link-address.ts';

test('anything with a slash is the path of a Unix socket', () => {
  assert.deepEqual(parseLinkAddress('/run/stickshift.sock'), { path: '/run/stickshift.sock' });
  assert.deepEqual(parseLinkAddress('./run:80'), { path: './run:80' });
});

test('host and port are told apart, also for IPv6', () => {
  assert.deepEqual(parseLinkAddress('127.0.0.1:9100'), { host: '127.0.0.1', port: 9100 });
  assert.deepEqual(parseLinkAddress('agent:0'), { host: 'agent', port: 0 });
  assert.deepEqual(parseLinkAddress('[::1]:9100'), { host: '::1', port: 9100 });
});

test('what is neither is refused with an example of what was expected', () => {
  for (const text of ['', '9100', 'agent', 'agent:', ':9100', '::1:9100', 'agent:65536', 'agent:-1']) {
    assert.throws(() => parseLinkAddress(text), /expected the path of a Unix socket/, text);
  }
});
