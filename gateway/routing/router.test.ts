import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { configSchema } from '../../config/schema.ts';
import { createAffinityCookies } from '../affinity/affinity-cookie.ts';
import type { Backend } from '../backends/backend.ts';
import { createBalancer } from '../balancing/balancer.ts';
import { GatewayCounters } from '../counters.ts';
import { holdRules } from '../hold/hold-rules.ts';
import type { Stamp } from '../leases/stamp.ts';
import { sessionIdReader } from '../session-id/session-id-reader.ts';
import { KnownBindings } from '../sessions/known-bindings.ts';
import { recordedLog } from '../testing/recorded-log.ts';
import { backendOf, testPool } from '../testing/test-pool.ts';
import { PoolMatcher } from './pool-matcher.ts';
import { Router } from './router.ts';

const REF = 'shop abc';

function tell(backend: Backend, recall: number, ...recalled: string[]): void {
  const { lease } = backend;
  const recalls = recalled.length > 0 ? [{ recall, sessionIds: recalled, reason: 'lost' as const }] : [];
  const answer = { incarnation: 'first', recall, ttlMs: 60_000, recalls };
  const call = lease.nextCall();
  lease.answered(call, { ...answer, ...(call.renew && { renewed: recall }) }, (id) => `shop ${id}`);
}

/** A router before two backends that are up, with a lease of each since recall 5. */
function setUp() {
  const pool = testPool({ 'app-1': {}, 'app-2': {} });
  const one = backendOf(pool, 'app-1');
  const two = backendOf(pool, 'app-2');
  for (const backend of [one, two]) {
    backend.appUp = backend.agentUp = true;
    tell(backend, 5);
  }
  const config = configSchema.parse({ secret: 'x'.repeat(32) }).gateway.affinity;
  const affinity = createAffinityCookies({
    keys: [new Uint8Array(32)],
    config,
    pool: 'shop',
    backendIds: ['app-1', 'app-2'],
  });
  const routing = {
    pool,
    affinity,
    sessionIds: sessionIdReader(pool.config.session),
    balancer: createBalancer(pool.config.balance),
    holds: holdRules(pool.config),
  };
  const known = new KnownBindings();
  const router = new Router({
    matcher: new PoolMatcher([pool]),
    routings: new Map([[pool, routing]]),
    known,
    counters: new GatewayCounters(),
    logger: recordedLog().logger,
  });
  /** The route of a client of session `abc`, with a cookie that binds it, or another session, to app-1. */
  const route = (binding?: { epoch?: number; stamp?: Stamp | undefined; of?: string }, session = true) => {
    const cookies = session ? ['sid=abc'] : [];
    if (binding) {
      const { epoch = 3, of = 'abc' } = binding;
      const stamp = 'stamp' in binding ? binding.stamp : one.lease.stamp();
      const tag = affinity.sessionTag(of);
      const value = affinity.issue({ backend: 'app-1', epoch, session: tag, stamp, now: Date.now() });
      cookies.push(`stickshift=${value}`);
    }
    return router.route({
      method: 'GET',
      target: '/',
      headers: { host: 'shop', cookie: cookies.join('; ') },
    });
  };
  return { one, two, known, route };
}

describe('a session’s binding', () => {
  test('is followed when the lease vouches for the cookie’s stamp', () => {
    const { one, route } = setUp();
    assert.equal(route({}).backend, one);
  });

  test('is placed when nobody has confirmed it, or only before our lease began', () => {
    const { one, route } = setUp();
    const { life = '' } = one.lease.stamp() ?? {};
    assert.equal(route({ stamp: undefined }).backend, undefined);
    assert.equal(route({ stamp: { life, recall: 4 } }).backend, undefined);
    assert.equal(route({ stamp: { life: 'others', recall: 9 } }).backend, undefined);
    assert.equal(route({ stamp: undefined }).bound, one, 'it is a hint all the same');
  });

  test('is placed when the session was recalled, and only that session', () => {
    const { one, route } = setUp();
    const stamp = one.lease.stamp();
    tell(one, 6, 'another');
    assert.equal(route({ stamp }).backend, one);
    tell(one, 7, 'abc');
    assert.equal(route({ stamp }).backend, undefined);
    assert.equal(route({}).backend, one, 'another gateway has had it confirmed since');
  });

  test('is placed while the lease does not hold, or trust was withdrawn', () => {
    for (const end of ['lapse', 'distrust'] as const) {
      const { one, route } = setUp();
      one.lease[end]();
      assert.equal(route({}).backend, undefined, end);
    }
  });

  test('of another session, or of none, says nothing', () => {
    const { route } = setUp();
    assert.equal(route({ of: 'another' }).backend, undefined);
    assert.equal(route().backend, undefined);
  });

  test('is what this gateway knows, when that is newer than the cookie', () => {
    const { two, known, route } = setUp();
    known.set(REF, { backend: two, epoch: 4, stamp: two.lease.stamp() });
    assert.partialDeepStrictEqual(route({ epoch: 3 }), { boundEpoch: 4 });
    assert.equal(route({ epoch: 3 }).backend, two);
    assert.equal(route().backend, two, 'without any cookie of ours');
    tell(two, 6, 'abc');
    assert.equal(route({ epoch: 3 }).backend, undefined, 'the cookie is older, whatever its stamp');
  });

  test('is what the cookie says, when that is newer than what this gateway knows', () => {
    const { one, two, known, route } = setUp();
    known.set(REF, { backend: two, epoch: 2, stamp: two.lease.stamp() });
    assert.equal(route({ epoch: 3 }).backend, one);
    assert.equal(route().backend, one, 'from now on without the cookie as well');
  });

  test('that nobody vouches for is no reason to forget what this gateway knows, nor to follow it', () => {
    const { one, two, known, route } = setUp();
    known.set(REF, { backend: two, epoch: 2, stamp: two.lease.stamp() });
    const { backend, bound } = route({ epoch: 3, stamp: undefined });
    assert.deepEqual([backend, bound], [undefined, one]);
    assert.equal(route().backend, two);
  });

  test('is placed when this gateway has it elsewhere in the same epoch', () => {
    const { two, known, route } = setUp();
    known.set(REF, { backend: two, epoch: 3, stamp: two.lease.stamp() });
    assert.equal(route({ epoch: 3 }).backend, undefined);
  });

  test('of which this gateway knows only an older stamp is followed by the cookie’s', () => {
    const { one, known, route } = setUp();
    known.set(REF, { backend: one, epoch: 3, stamp: undefined });
    assert.equal(route({ epoch: 3 }).backend, one);
    assert.equal(route({ epoch: 3, stamp: undefined }).backend, undefined);
  });

  test('is placed when this gateway doubts it', () => {
    const { two, known, route } = setUp();
    known.doubt(REF);
    assert.equal(route({}).backend, undefined);
    known.set(REF, { backend: two, epoch: 4, stamp: two.lease.stamp() });
    known.doubt(REF);
    assert.partialDeepStrictEqual(route({ epoch: 3 }), { backend: undefined, bound: two, boundEpoch: 4 });
  });

  test('is placed when its backend is down or drained', () => {
    const { one, route } = setUp();
    one.adminState = 'drain';
    assert.equal(route({}).backend, undefined);
    one.adminState = 'ready';
    one.appUp = false;
    assert.equal(route({}).backend, undefined);
  });
});

test('a client without a session stays where it was, for nothing is lost elsewhere', () => {
  const { one, route } = setUp();
  one.lease.lapse();
  for (let i = 0; i < 10; i++) assert.equal(route({ of: 'gone' }, false).backend, one);
});
