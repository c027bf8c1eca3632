import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseSetCookie } from 'cookie';
import fc from 'fast-check';
import { configSchema, type GatewayConfig } from '../../config/schema.ts';
import { type AffinityCookiesOptions, createAffinityCookies } from './affinity-cookie.ts';

const KEY = new Uint8Array(32).fill(1);
const OTHER_KEY = new Uint8Array(32).fill(2);
const NOW = Date.UTC(2026, 10, 21, 12);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const defaults = configSchema.parse({ secret: 'x'.repeat(32) }).gateway.affinity;

function cookies(
  options: Partial<Omit<AffinityCookiesOptions, 'config'>> & {
    config?: Partial<GatewayConfig['affinity']>;
  } = {},
) {
  return createAffinityCookies({
    keys: [KEY],
    pool: 'shop',
    backendIds: ['app-1', 'app-2'],
    ...options,
    config: { ...defaults, ...options.config },
  });
}

const stamp = { life: 'a-life', recall: 7 };
const binding = { backend: 'app-1', epoch: 3, session: 0, stamp, now: NOW };

const LONGEST = {
  backend: 'app-1' as const,
  epoch: Number.MAX_SAFE_INTEGER,
  session: 2 ** 48 - 1,
  stamp: { life: 'a_life', recall: Number.MAX_SAFE_INTEGER },
  age: 0,
};

function reason(verdict: ReturnType<ReturnType<typeof cookies>['verify']>): string {
  return verdict.ok ? 'ok' : verdict.reason;
}

describe('an affinity cookie', () => {
  test('says what it was issued for', () => {
    fc.assert(
      fc.property(
        fc.record({
          backend: fc.constantFrom('app-1', 'app-2'),
          epoch: fc.maxSafeNat(),
          session: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
          stamp: fc.option(
            fc.record(
              { life: fc.stringMatching(/^[\w-]{6}$/), recall: fc.maxSafeNat() },
              { noNullPrototype: true },
            ),
            { nil: undefined },
          ),
          age: fc.integer({ min: 0, max: defaults.maxAge }),
        }),
        ({ backend, epoch, session, stamp, age }) => {
          const value = cookies().issue({ backend, epoch, session, stamp, issuedAt: NOW - age, now: NOW });
          const verdict = cookies().verify(value, NOW);
          assert.ok(verdict.ok);
          const issuedAt = Math.floor((NOW - age) / 1000) * 1000;
          const keyId = value.split('.')[1];
          assert.deepEqual(verdict.affinity, {
            backend,
            epoch,
            session,
            stamp,
            issuedAt,
            seenAt: NOW,
            keyId,
          });
        },
      ),
      { examples: [[LONGEST]] },
    );
  });

  test('is a plain cookie value of less than 100 characters', () => {
    const recalled = { life: 'a-life', recall: 1_000_000 };
    const value = cookies().issue({ ...binding, epoch: 1_000, session: 2 ** 48 - 1, stamp: recalled });
    assert.match(value, /^v1\.[\w.-]+$/);
    assert.ok(value.length < 100, `${value.length} characters`);
  });

  test('is refused when a single character differs', () => {
    const value = cookies().issue(binding);
    fc.assert(
      fc.property(fc.nat(value.length - 1), fc.constantFrom(...'abXY01_-.'), (at, character) => {
        fc.pre(value[at] !== character);
        assert.equal(cookies().verify(value.slice(0, at) + character + value.slice(at + 1), NOW).ok, false);
      }),
      { numRuns: 500 },
    );
  });

  test('has one spelling: the spare bits of its MAC cannot be changed either', () => {
    const value = cookies().issue(binding);
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const good = [...alphabet].filter((last) => cookies().verify(value.slice(0, -1) + last, NOW).ok);
    assert.deepEqual(good, [value.at(-1)]);
  });

  test('is refused when it is anything else, and never throws', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.string().map((text) => `v1.${text}`),
        ),
        (text) => {
          assert.equal(cookies().verify(text, NOW).ok, false);
        },
      ),
    );
    assert.equal(reason(cookies().verify('', NOW)), 'malformed');
    assert.equal(reason(cookies().verify(`v1.${'a'.repeat(10_000)}`, NOW)), 'oversized');
  });

  test('of a binding that nobody has confirmed is a cookie all the same', () => {
    const verdict = cookies().verify(cookies().issue({ ...binding, stamp: undefined }), NOW);
    assert.ok(verdict.ok);
    assert.equal(verdict.affinity.backend, 'app-1');
    assert.equal(verdict.affinity.stamp, undefined);
  });

  test('of another pool or another installation is foreign', () => {
    const value = cookies().issue(binding);
    assert.equal(reason(cookies({ pool: 'blog' }).verify(value, NOW)), 'foreign');
    assert.equal(reason(cookies({ keys: [OTHER_KEY] }).verify(value, NOW)), 'foreign');
  });

  test('with a right key ID and a wrong MAC is forged', () => {
    const value = cookies().issue(binding);
    const forged = value.replace(/\.3\./, '.4.');
    assert.notEqual(forged, value);
    assert.equal(reason(cookies().verify(forged, NOW)), 'forged');
  });

  test('of a backend that was removed is refused', () => {
    const value = cookies().issue({ ...binding, backend: 'app-2' });
    assert.equal(reason(cookies({ backendIds: ['app-1'] }).verify(value, NOW)), 'unknown-backend');
  });

  test('shows neither backend nor session, and each backend has another tag', () => {
    const of = (backend: string) => cookies().issue({ ...binding, backend });
    assert.ok(!of('app-1').includes('app-1'));
    assert.ok(!of('app-1').includes(Buffer.from('app-1').toString('base64url')));
    assert.notEqual(of('app-1').split('.')[2], of('app-2').split('.')[2]);
  });

  test('cannot be issued for a backend that the pool does not have', () => {
    assert.throws(() => cookies().issue({ ...binding, backend: 'app-9' }), { code: 'INTERNAL' });
  });
});

describe('the time of an affinity cookie', () => {
  const verifyAt = (now: number) => reason(cookies().verify(cookies().issue(binding), now));

  test('runs out when it has not been seen for the idle time', () => {
    assert.equal(verifyAt(NOW + defaults.idle), 'ok');
    assert.equal(verifyAt(NOW + defaults.idle + 1), 'idle');
  });

  test('runs out at its maximum age, however often it was seen', () => {
    const value = cookies().issue({ ...binding, issuedAt: NOW - defaults.maxAge });
    assert.equal(reason(cookies().verify(value, NOW)), 'ok');
    assert.equal(reason(cookies().verify(value, NOW + 1)), 'expired');
  });

  test('may be ahead by the skew of two clocks, both set wrong by five minutes, and no more', () => {
    assert.equal(verifyAt(NOW - 10 * MINUTE), 'ok');
    assert.equal(verifyAt(NOW - 15 * MINUTE), 'ok');
    assert.equal(verifyAt(NOW - 15 * MINUTE - 1), 'future');
  });

  test('runs out for a cookie that was found good before', () => {
    const one = cookies();
    const value = one.issue(binding);
    assert.equal(one.verify(value, NOW).ok, true);
    assert.equal(reason(one.verify(value, NOW + defaults.idle + 1)), 'idle');
    assert.equal(reason(one.verify(value, NOW - HOUR)), 'future');
  });

  test('never has a binding last seen before it was issued', () => {
    const value = cookies().issue({ ...binding, issuedAt: NOW + MINUTE });
    const verdict = cookies().verify(value, NOW);
    assert.ok(verdict.ok && verdict.affinity.issuedAt === verdict.affinity.seenAt);
  });

  test('calls for renewal when last seen too long ago', () => {
    const verdict = cookies().verify(cookies().issue(binding), NOW);
    assert.ok(verdict.ok);
    assert.equal(cookies().needsRenewal(verdict.affinity, NOW + defaults.renewAfter - 1), false);
    assert.equal(cookies().needsRenewal(verdict.affinity, NOW + defaults.renewAfter), true);
  });
});

describe('key rotation', () => {
  const before = cookies({ keys: [KEY] });
  const after = cookies({ keys: [OTHER_KEY, KEY] });

  test('accepts cookies of the older key, and has them renewed', () => {
    const verdict = after.verify(before.issue(binding), NOW);
    assert.ok(verdict.ok);
    assert.equal(verdict.affinity.backend, 'app-1');
    assert.equal(after.needsRenewal(verdict.affinity, NOW), true);
  });

  test('signs with the first key', () => {
    assert.equal(reason(before.verify(after.issue(binding), NOW)), 'foreign');
    const verdict = after.verify(after.issue(binding), NOW);
    assert.ok(verdict.ok && !after.needsRenewal(verdict.affinity, NOW));
  });

  test('still recognises the session of a cookie of the older key', () => {
    const session = before.sessionTag('a-session');
    const verdict = after.verify(before.issue({ ...binding, session }), NOW);
    assert.ok(verdict.ok);
    assert.equal(after.sessionTag('a-session', verdict.affinity), session);
    assert.notEqual(after.sessionTag('a-session'), session);
    assert.notEqual(after.sessionTag('another', verdict.affinity), session);
  });

  test('needs at least one key', () => {
    assert.throws(() => cookies({ keys: [] }), { code: 'CONFIG_INVALID' });
  });

  test('bears a key that is listed twice', () => {
    const twice = cookies({ keys: [KEY, OTHER_KEY, KEY] });
    const verdict = twice.verify(twice.issue(binding), NOW);
    assert.ok(verdict.ok && !twice.needsRenewal(verdict.affinity, NOW));
  });
});

describe('the affinity cookie of a Cookie header', () => {
  const good = cookies().issue(binding);

  test('is found among others', () => {
    assert.equal(cookies().fromCookieHeader(`a=1; stickshift=${good}; b=2`, NOW)?.ok, true);
    assert.equal(cookies().fromCookieHeader('a=1', NOW), undefined);
  });

  test('is the first good one when there are several', () => {
    const found = cookies().fromCookieHeader(`stickshift=old; stickshift=${good}`, NOW);
    assert.equal(found?.ok, true);
  });

  test('is refused for the first one’s reason when none is good', () => {
    const foreign = cookies({ keys: [OTHER_KEY] }).issue(binding);
    const found = cookies().fromCookieHeader(`stickshift=${foreign}; stickshift=junk`, NOW);
    assert.ok(found);
    assert.equal(reason(found), 'foreign');
  });

  test('is not sought among hundreds', () => {
    const header = `${'stickshift=junk; '.repeat(500)}stickshift=${good}`;
    assert.equal(cookies().fromCookieHeader(header, NOW)?.ok, false);
  });
});

describe('session tags', () => {
  test('tell sessions and pools apart, and are never 0', () => {
    const tag = cookies().sessionTag('abc');
    assert.ok(tag > 0);
    assert.equal(cookies().sessionTag('abc'), tag);
    assert.notEqual(cookies().sessionTag('abd'), tag);
    assert.notEqual(cookies({ pool: 'blog' }).sessionTag('abc'), tag);
  });
});

describe('the Set-Cookie header', () => {
  const setCookie = (config: Partial<GatewayConfig['affinity']>, secure: boolean) =>
    parseSetCookie(cookies({ config }).setCookieHeader('v1.x', { secure }));

  test('by default is HttpOnly, SameSite=Lax, for every path, and as old as it may grow', () => {
    assert.deepEqual(setCookie({}, false), {
      name: 'stickshift',
      value: 'v1.x',
      maxAge: defaults.maxAge / 1000,
      path: '/',
      httpOnly: true,
      sameSite: 'lax',
    });
  });

  test('is Secure when the client came over TLS, always, or never', () => {
    assert.equal(setCookie({}, true).secure, true);
    assert.equal(setCookie({ secure: 'always' }, false).secure, true);
    assert.equal(setCookie({ secure: 'never' }, true).secure, undefined);
  });

  test('is Secure and SameSite=None when Partitioned', () => {
    const { partitioned, secure, sameSite } = setCookie({ partitioned: true, secure: 'never' }, false);
    assert.deepEqual(
      { partitioned, secure, sameSite },
      { partitioned: true, secure: true, sameSite: 'none' },
    );
  });

  test('is Secure when SameSite=None', () => {
    const { secure, sameSite } = setCookie({ sameSite: 'None' }, false);
    assert.deepEqual({ secure, sameSite }, { secure: true, sameSite: 'none' });
  });

  test('carries the configured name and Domain', () => {
    const { name, domain } = setCookie({ cookie: 'bound', domain: 'example.com' }, false);
    assert.deepEqual({ name, domain }, { name: 'bound', domain: 'example.com' });
  });
});
