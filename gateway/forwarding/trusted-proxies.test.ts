import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { clientAddress, createTrustedProxies, plainAddress } from './trusted-proxies.ts';

describe('the list of trusted proxies', () => {
  test('trusts nobody when it is empty', () => {
    assert.equal(createTrustedProxies([])('127.0.0.1'), false);
  });

  test('holds addresses and ranges of both families', () => {
    const trusted = createTrustedProxies(['192.0.2.7', '10.0.0.0/8', '2001:db8::/32', '::1']);
    for (const address of ['192.0.2.7', '10.255.0.1', '2001:db8:1::2', '::1'])
      assert.ok(trusted(address), address);
    for (const address of ['192.0.2.8', '11.0.0.1', '2001:db9::1', '::2'])
      assert.ok(!trusted(address), address);
  });

  test('knows an IPv4 address in its IPv6-mapped forms', () => {
    const trusted = createTrustedProxies(['10.0.0.0/8']);
    assert.ok(trusted('::ffff:10.1.2.3'));
    assert.ok(trusted('::ffff:a01:203'));
    assert.ok(!trusted('::ffff:11.1.2.3'));
  });

  test('trusts nothing that is no address', () => {
    const trusted = createTrustedProxies(['0.0.0.0/0', '::/0']);
    for (const text of ['', 'unknown', 'localhost', '10.0.0', '10.0.0.1:80']) assert.ok(!trusted(text), text);
  });

  test('gives the same answer when asked again', () => {
    const trusted = createTrustedProxies(['10.0.0.1']);
    assert.deepEqual([trusted('10.0.0.1'), trusted('10.0.0.1')], [true, true]);
    assert.deepEqual([trusted('10.0.0.2'), trusted('10.0.0.2')], [false, false]);
  });

  test('refuses what is neither address nor range, naming it', () => {
    for (const entry of [
      '',
      'proxy.local',
      '10.0.0.0/33',
      '10.0.0.0/',
      '10.0.0.0/8/8',
      '::1/129',
      '10.0.0.0/-1',
    ]) {
      assert.throws(
        () => createTrustedProxies([entry]),
        (error: Error & { code?: string }) =>
          error.code === 'CONFIG_INVALID' && error.message.includes(JSON.stringify(entry)),
        entry,
      );
    }
  });
});

describe('the client address', () => {
  const trusted = createTrustedProxies(['10.0.0.0/8', '2001:db8::/32']);

  test('is the peer when that is not trusted, whatever it claims', () => {
    fc.assert(
      fc.property(fc.string(), (claimed) => {
        assert.equal(clientAddress('192.0.2.1', claimed, trusted), '192.0.2.1');
      }),
    );
  });

  test('is the rightmost one that no trusted proxy has', () => {
    assert.equal(clientAddress('10.0.0.1', '203.0.113.9, 192.0.2.1, 10.0.0.2', trusted), '192.0.2.1');
    assert.equal(clientAddress('10.0.0.1', '192.0.2.1', trusted), '192.0.2.1');
    assert.equal(clientAddress('::ffff:10.0.0.1', '::ffff:192.0.2.1', trusted), '192.0.2.1');
  });

  test('is the leftmost one when all are trusted', () => {
    assert.equal(clientAddress('10.0.0.1', '10.0.0.3, 10.0.0.2', trusted), '10.0.0.3');
    assert.equal(clientAddress('10.0.0.1', undefined, trusted), '10.0.0.1');
  });

  test('may be written with a port', () => {
    assert.equal(clientAddress('10.0.0.1', '192.0.2.1:4711', trusted), '192.0.2.1');
    assert.equal(clientAddress('10.0.0.1', '[2001:db9::1]:4711', trusted), '2001:db9::1');
    assert.equal(clientAddress('10.0.0.1', '2001:db9::1', trusted), '2001:db9::1');
  });

  test('is the last good one when what comes next is no address', () => {
    for (const claimed of ['unknown', '_hidden', '192.0.2.1, ', '192.0.2.1, 300.1.1.1', '', ',,,']) {
      assert.equal(clientAddress('10.0.0.1', claimed, trusted), '10.0.0.1', claimed);
    }
  });

  test('cannot be changed by what a client writes to the left of what a proxy added', () => {
    fc.assert(
      fc.property(fc.string(), fc.ipV4(), (written, client) => {
        fc.pre(!trusted(client));
        assert.equal(clientAddress('10.0.0.1', `${written}, ${client}`, trusted), client);
      }),
    );
  });

  test('is sought in no more hops than a real chain has', () => {
    const chain = Array.from({ length: 10_000 }, () => '10.0.0.2').join(',');
    assert.equal(clientAddress('10.0.0.1', `192.0.2.1,${chain}`, trusted), '10.0.0.2');
  });
});

test('a plain address is left as it is', () => {
  for (const address of ['192.0.2.1', '::1', '2001:db8::1', '']) assert.equal(plainAddress(address), address);
});
