import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { StickshiftError } from '../../protocol/errors.ts';
import { parseRedisUrl } from './redis-url.ts';

const nobody = { username: undefined, password: undefined };

describe('a Redis URL', () => {
  test('names one server, with the usual port and database by default', () => {
    assert.deepEqual(parseRedisUrl('redis://db.internal'), {
      kind: 'single',
      label: 'redis://db.internal',
      ...nobody,
      server: { host: 'db.internal', port: 6379 },
      db: 0,
      tls: false,
    });
  });

  test('carries port, database, user and password', () => {
    const target = parseRedisUrl('rediss://shop:s%40cret%2Fword@db:6380/3');
    assert.ok(target.kind === 'single');
    assert.deepEqual(
      [target.server, target.db, target.tls, target.username, target.password],
      [{ host: 'db', port: 6380 }, 3, true, 'shop', 's@cret/word'],
    );
  });

  test('may have a password alone, a user alone, an at sign in the password, and an IPv6 address', () => {
    assert.equal(parseRedisUrl('redis://:word@db').password, 'word');
    assert.equal(parseRedisUrl('redis://:word@db').username, undefined);
    assert.equal(parseRedisUrl('redis://shop@db').username, 'shop');
    assert.equal(parseRedisUrl('redis://:a@b:c@db').password, 'a@b:c');
    const target = parseRedisUrl('redis://[::1]:7000');
    assert.ok(target.kind === 'single');
    assert.deepEqual(target.server, { host: '::1', port: 7000 });
  });

  test('takes the database as a parameter as well', () => {
    const target = parseRedisUrl('redis://db?db=2');
    assert.ok(target.kind === 'single');
    assert.equal(target.db, 2);
  });

  test('names sentinels and their service', () => {
    const url = 'redis+sentinel://:word@s1:26379,s2/shop?db=1&sentinelPassword=other';
    assert.deepEqual(parseRedisUrl(url), {
      kind: 'sentinel',
      label: 'redis+sentinel://s1:26379,s2/shop',
      username: undefined,
      password: 'word',
      sentinels: [
        { host: 's1', port: 26379 },
        { host: 's2', port: 26379 },
      ],
      service: 'shop',
      db: 1,
      sentinelAuth: { username: undefined, password: 'other' },
    });
  });

  test('names nodes of a cluster', () => {
    const target = parseRedisUrl('redis+cluster://n1:7001,[fe80::2]:7002');
    assert.ok(target.kind === 'cluster');
    assert.deepEqual(target.nodes, [
      { host: 'n1', port: 7001 },
      { host: 'fe80::2', port: 7002 },
    ]);
  });

  test('that is wrong says how', () => {
    const wrong: Record<string, RegExp> = {
      'http://db': /expected redis/,
      'redis://': /with a host/,
      'redis://a,b': /one host/,
      'redis://db:99999': /HOST:PORT/,
      'redis://db/one': /number/,
      'redis://db?dbb=1': /unknown parameter "dbb"/,
      'redis+sentinel://s1': /name of the service/,
      'redis+cluster://n1/2': /no databases/,
      'redis://:100%@db': /percent sign/,
    };
    for (const [url, message] of Object.entries(wrong)) {
      assert.throws(() => parseRedisUrl(url), { code: 'CONFIG_INVALID', message }, url);
    }
  });

  test('never shows its password in a label or an error', () => {
    const password = 'opensesame';
    const text = fc.string({
      unit: fc.constantFrom('@', ':', '/', '?', '%', '[', ',', '#', 'a', '1'),
      maxLength: 6,
    });
    const scheme = fc.constantFrom('redis', 'rediss', 'redis+sentinel', 'redis+cluster', 'http');
    fc.assert(
      fc.property(scheme, text, text, text, (scheme, before, after, rest) => {
        const url = `${scheme}://user:${before}${password}${after}@db${rest}`;
        let shown: string;
        try {
          shown = parseRedisUrl(url).label;
        } catch (error) {
          assert.ok(error instanceof StickshiftError);
          shown = error.message;
        }
        assert.ok(!shown.includes(password), shown);
      }),
    );
  });
});
