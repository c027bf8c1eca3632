import assert from 'node:assert/strict';
import type { IncomingHttpHeaders } from 'node:http';
import { describe, type TestContext, test } from 'node:test';
import { parseSetCookie } from 'cookie';
import { StickshiftError } from '../../protocol/errors.ts';
import type { Backend } from '../backends/backend.ts';
import type { Committer } from '../hold/committer.ts';
import type { AnswerCheck, SentRequest } from '../leases/answer-check.ts';
import { KnownBindings } from '../sessions/known-bindings.ts';
import { SessionReference } from '../sessions/session-reference.ts';
import { eventually } from '../testing/eventually.ts';
import { recordedLog } from '../testing/recorded-log.ts';
import { RequestTrace } from '../tracing/request-trace.ts';
import { AnswerRules } from './answer-rules.ts';
import type { AnsweredExchange } from './exchange.ts';
import { routeOf, testRouting } from './testing/delivery-scene.ts';

const STAMP = { life: 'a-life', recall: 7 };

interface Asked {
  readonly method?: string;
  /** `undefined`: the request came without a session. */
  readonly sessionId?: string | undefined;
  readonly hasEnded?: boolean;
}

/** Rules, and a request to app-1 that app-1 has answered, of session `abc` in epoch 3 unless the test says otherwise. */
function scene(asked: Asked = {}) {
  const { method = 'GET', hasEnded = false } = asked;
  const sessionId = 'sessionId' in asked ? asked.sessionId : 'abc';
  const { routing, one } = testRouting();
  one.agentUp = true;
  one.lease.heard();
  const known = new KnownBindings();
  const log = recordedLog();
  /** What was asked for, in turn. */
  const calls: string[] = [];
  const checked: SentRequest[] = [];
  const world = { committed: async (): Promise<number | 'ended'> => 4, isDue: true, isRight: true };
  const rules = new AnswerRules({
    committer: {
      commit: (_: AnsweredExchange, touched: readonly SessionReference[]) => {
        calls.push(`commit ${touched.map(({ id }) => id).join()}`);
        return world.committed();
      },
    } as unknown as Committer,
    check: {
      isDue: () => world.isDue,
      confirm: async (sent: SentRequest, { retires }: { readonly retires: boolean }) => {
        calls.push(`confirm ${sent.session.id}${retires ? ', which it retires' : ''}`);
        checked.push(sent);
        if (!world.isRight) throw new StickshiftError('COMMIT_FENCED', 'it has moved');
      },
    } as unknown as AnswerCheck,
    known,
    logger: log.logger,
  });
  const exchange: AnsweredExchange = {
    method,
    target: '/cart',
    route: routeOf(routing, sessionId),
    encrypted: false,
    trace: new RequestTrace(method, { method, headers: {} }),
    backend: one,
    incarnation: 'first',
    epoch: sessionId === undefined || hasEnded ? 0 : 3,
    stamp: STAMP,
    ended: hasEnded ? { session: new SessionReference(routing.pool, 'gone'), epoch: 5 } : undefined,
  };
  const plan = (headers: IncomingHttpHeaders = {}, status = 200) => rules.plan(exchange, { status, headers });
  /** Releases the answer if it is held. */
  const release = async (headers: IncomingHttpHeaders = {}) => {
    const planned = plan(headers);
    assert.ok(planned.hold, 'it is not held');
    return rules.release(exchange, planned, planned.hold);
  };
  return { rules, exchange, plan, release, world, known, calls, checked, log, one, routing };
}

const BEGINS: IncomingHttpHeaders = { 'set-cookie': ['a=1', 'sid=new; Path=/'] };
const LOGS_OUT: IncomingHttpHeaders = { 'set-cookie': ['sid=; Max-Age=0'] };

describe('an answer', () => {
  test('that only reads goes out at once, and its client stays where it is', () => {
    const { plan, one, exchange } = scene();
    assert.deepEqual(plan(), {
      hold: undefined,
      ask: undefined,
      touched: [exchange.route.session],
      binding: { backend: one, session: exchange.route.session, epoch: 3, stamp: STAMP, hasEnded: false },
      namesSession: false,
      failed: false,
      endless: false,
    });
  });

  test('to a write waits for the commit of its session', () => {
    const { plan } = scene({ method: 'POST' });
    assert.partialDeepStrictEqual(plan(), { hold: { unsafe: true }, touched: [{ id: 'abc' }] });
  });

  test('to a write without a session has nothing to wait for', () => {
    const { plan } = scene({ method: 'POST', sessionId: undefined });
    assert.partialDeepStrictEqual(plan(), { hold: undefined, touched: [] });
  });

  test('that begins a session waits for its commit, and binds its client to it', () => {
    const { plan, known, one } = scene({ sessionId: undefined });
    assert.partialDeepStrictEqual(plan(BEGINS), {
      hold: { unsafe: false },
      touched: [{ id: 'new' }],
      binding: { backend: one, session: { id: 'new' }, epoch: 0, hasEnded: false },
      namesSession: true,
    });
    assert.deepEqual(known.get('shop new'), { backend: one, epoch: 0, stamp: STAMP });
  });

  test('that gives a session another ID waits for the commit of both', () => {
    const { plan, known, one } = scene();
    const { touched, binding } = plan(BEGINS);
    assert.deepEqual(
      touched.map(({ id }) => id),
      ['abc', 'new'],
    );
    assert.equal(binding.session, touched[1]);
    assert.equal(known.get('shop new')?.backend, one);
  });

  test('that sets the ID that there is names no other session', () => {
    const { plan, exchange } = scene();
    const { touched, binding, namesSession, hold } = plan({ 'set-cookie': ['sid=abc'] });
    assert.deepEqual([touched, binding.session], [[exchange.route.session], exchange.route.session]);
    assert.deepEqual([namesSession, hold?.unsafe], [true, false]);
  });

  test('to a logout waits for its commit', () => {
    const { plan } = scene();
    assert.partialDeepStrictEqual(plan(LOGS_OUT), { hold: {}, touched: [{ id: 'abc' }], namesSession: true });
  });

  test('that may never end by itself is not held, whatever was asked', () => {
    for (const type of ['text/event-stream', 'text/event-stream; charset=utf-8']) {
      const { plan } = scene({ method: 'POST' });
      assert.partialDeepStrictEqual(plan({ 'content-type': type }), { endless: true, hold: undefined });
    }
    const { plan } = scene({ method: 'POST' });
    assert.equal(plan({ 'content-type': 'text/html' }).endless, false);
  });

  test('that may never end by itself is known by its media type in any spelling', () => {
    const { plan } = scene({ method: 'POST' });
    assert.equal(plan({ 'content-type': 'Text/Event-Stream' }).endless, true);
  });

  test('of a web server whose app has died acknowledges nothing, and leaves the session in doubt', () => {
    for (const status of [502, 504]) {
      const { plan, known } = scene({ method: 'POST' });
      assert.equal(plan({}, status).hold, undefined);
      assert.equal(known.get('shop abc')?.isDoubtful, true);
    }
  });

  test('of an app that says 502 itself is any other answer', () => {
    const { plan, known } = scene({ method: 'POST' });
    assert.notEqual(plan({ 'set-cookie': ['sid=abc'] }, 502).hold, undefined);
    assert.equal(known.get('shop abc'), undefined);
    const other = scene({ method: 'POST' });
    assert.notEqual(other.plan({}, 503).hold, undefined);
    assert.equal(other.known.get('shop abc'), undefined);
  });

  test('that is an error, and may be a web server’s word for an app that has died, is held as one', () => {
    const answers: [IncomingHttpHeaders, number, boolean][] = [
      [{}, 500, true],
      [{}, 503, true],
      [{ 'set-cookie': ['sid=abc'] }, 503, false],
      [{}, 404, false],
    ];
    for (const [headers, status, failed] of answers) {
      assert.partialDeepStrictEqual(scene({ method: 'POST' }).plan(headers, status), { failed });
    }
  });

  test('that is an error, and is not held, leaves the session in doubt: nobody asks its agent now', () => {
    const { plan, known } = scene({ method: 'GET' });
    assert.equal(plan({}, 503).hold, undefined);
    assert.equal(known.get('shop abc')?.isDoubtful, true);
  });

  test('to a request whose session had ended binds its client beyond that', () => {
    const { plan, one } = scene({ sessionId: undefined, hasEnded: true });
    assert.partialDeepStrictEqual(plan(), {
      hold: undefined,
      binding: { backend: one, session: { id: 'gone' }, epoch: 6, hasEnded: true },
    });
    assert.partialDeepStrictEqual(plan(BEGINS).binding, {
      session: { id: 'new' },
      epoch: 0,
      hasEnded: false,
    });
  });

  test('that breaks off while it is held leaves all that it touched in doubt', () => {
    const { rules, plan, known } = scene({ method: 'POST' });
    rules.brokenOff(plan(BEGINS));
    assert.equal(known.get('shop abc')?.isDoubtful, true);
    assert.equal(known.get('shop new')?.isDoubtful, true);
  });
});

describe('the last look at an answer', () => {
  test('is not taken when the lease vouches for its session', () => {
    const { rules, exchange, world, calls } = scene();
    world.isDue = false;
    assert.equal(rules.check(exchange, false), undefined);
    assert.deepEqual(calls, []);
  });

  test('is not taken without a session, or with one that had ended before', () => {
    for (const asked of [{ sessionId: undefined }, { hasEnded: true }]) {
      const { rules, exchange } = scene(asked);
      assert.equal(rules.check(exchange, false), undefined);
    }
  });

  test('is at what was believed when the request was sent', async () => {
    const { rules, exchange, checked, calls, one } = scene();
    await rules.check(exchange, true);
    assert.deepEqual(calls, ['confirm abc, which it retires']);
    assert.deepEqual(checked, [{ backend: one, session: exchange.route.session, epoch: 3, stamp: STAMP }]);
  });

  test('withholds an answer whose session has moved', async () => {
    const { rules, exchange, world } = scene();
    world.isRight = false;
    await assert.rejects(rules.check(exchange, false) ?? Promise.resolve(), { code: 'COMMIT_FENCED' });
  });
});

describe('an answer to a read', () => {
  const silences = {
    'has said nothing for a moment': (_: Backend, t: TestContext) => {
      const now = performance.now();
      t.mock.method(performance, 'now', () => now + 400);
    },
    'is known to be away': (backend: Backend) => {
      backend.agentUp = false;
    },
  };
  for (const [what, fallSilent] of Object.entries(silences)) {
    test(`whose agent ${what} goes out as it comes, once the agent says that what it shows is saved`, async (t) => {
      const { plan, rules, exchange, calls, one } = scene();
      fallSilent(one, t);
      const planned = plan();
      assert.partialDeepStrictEqual(planned, { hold: undefined, ask: { unsafe: false } });
      await rules.admit(exchange, planned);
      assert.deepEqual(calls, ['commit abc', 'confirm abc']);
    });
  }

  test('is withheld when that is not certain', async () => {
    const { plan, rules, exchange, world, one } = scene();
    one.agentUp = false;
    world.committed = () => Promise.reject(new StickshiftError('COMMIT_UNKNOWN', 'no agent'));
    await assert.rejects(rules.admit(exchange, plan()) ?? Promise.resolve(), { code: 'COMMIT_UNKNOWN' });
  });

  test('has nobody asked for it when it may never end, while the agent is there; otherwise it begins when that has answered', () => {
    const { plan, one } = scene();
    const stream = { 'content-type': 'text/event-stream' };
    assert.partialDeepStrictEqual(plan(stream), { hold: undefined, ask: undefined, endless: true });
    one.agentUp = false;
    assert.partialDeepStrictEqual(plan(stream), { hold: undefined, ask: { unsafe: false }, endless: true });
  });
});

describe('a held answer', () => {
  test('goes out after its commit, and its client is bound as of that', async () => {
    const { release, calls, checked } = scene({ method: 'POST' });
    assert.partialDeepStrictEqual(await release(), { session: { id: 'abc' }, epoch: 4, hasEnded: false });
    assert.deepEqual(calls, ['commit abc', 'confirm abc'], 'a look before the commit would prove nothing');
    assert.equal(
      checked[0]?.epoch,
      3,
      'in another epoch its app may have been without the session in between',
    );
  });

  test('of a session that had no record is looked at in the epoch of its first commit', async () => {
    const { release, checked, exchange } = scene({ method: 'POST' });
    Object.assign(exchange, { epoch: 0 });
    await release();
    assert.equal(checked[0]?.epoch, 4);
  });

  test('needs no look when the lease vouches for its session', async () => {
    const { release, calls, world } = scene({ method: 'POST' });
    world.isDue = false;
    await release();
    assert.deepEqual(calls, ['commit abc']);
  });

  test('of a session without a record is looked at as it was sent', async () => {
    const { release, checked, world } = scene({ method: 'POST' });
    world.committed = async () => 0;
    assert.equal((await release()).epoch, 0);
    assert.equal(checked[0]?.epoch, 3);
  });

  test('that gives its session another ID binds to that one, and is looked at for the old one as it was', async () => {
    const { release, calls, checked } = scene();
    assert.partialDeepStrictEqual(await release(BEGINS), { session: { id: 'new' }, epoch: 4 });
    assert.deepEqual(calls, ['commit abc,new', 'confirm abc, which it retires']);
    assert.equal(checked[0]?.epoch, 3);
  });

  test('that begins a session is looked at for no other', async () => {
    const { release, calls } = scene({ sessionId: undefined });
    assert.partialDeepStrictEqual(await release(BEGINS), { session: { id: 'new' }, epoch: 4 });
    assert.deepEqual(calls, ['commit new']);
  });

  test('to a logout goes out as it is, and its client is bound beyond what has ended', async () => {
    const { release, calls, world } = scene();
    world.committed = async () => 'ended';
    assert.partialDeepStrictEqual(await release(LOGS_OUT), { epoch: 4, stamp: undefined, hasEnded: true });
    assert.deepEqual(calls, ['commit abc']);
  });

  test('is withheld when its commit fails, or its session has moved', async () => {
    const failed = scene({ method: 'POST' });
    failed.world.committed = () => Promise.reject(new StickshiftError('COMMIT_UNKNOWN', 'no agent'));
    await assert.rejects(failed.release(), { code: 'COMMIT_UNKNOWN' });
    assert.deepEqual(failed.calls, ['commit abc']);
    const moved = scene({ method: 'POST' });
    moved.world.isRight = false;
    await assert.rejects(moved.release(), { code: 'COMMIT_FENCED' });
  });

  test('that was too large is committed all the same, and what fails of that is in the log, without the ID', async () => {
    const { rules, exchange, plan, world, calls, log } = scene({ method: 'POST' });
    world.committed = () => Promise.reject(new StickshiftError('COMMIT_UNKNOWN', 'no agent'));
    const planned = plan();
    assert.ok(planned.hold);
    rules.releaseLate(exchange, planned, planned.hold);
    assert.deepEqual(calls, ['commit abc']);
    await eventually(() => log.matching(/too large to hold/).length === 1, 'the failure is logged');
    const [line] = log.matching(/too large to hold/);
    assert.equal(line?.['stickshift.session.key'], exchange.route.session?.key);
    assert.doesNotMatch(JSON.stringify(log.lines), /abc/);
  });
});

describe('the affinity cookie of an answer', () => {
  test('tells a client that has none where it is bound, and is as safe as its connection', () => {
    const { rules, exchange, plan, routing } = scene();
    const cookie = rules.cookie(exchange, plan().binding) ?? '';
    const { name, value = '', secure } = parseSetCookie(cookie);
    assert.deepEqual([name, secure ?? false], ['stickshift', false]);
    const verdict = routing.affinity.verify(value, Date.now());
    assert.ok(verdict.ok);
    assert.partialDeepStrictEqual(verdict.affinity, { backend: 'app-1', epoch: 3 });
    assert.equal(
      parseSetCookie(rules.cookie({ ...exchange, encrypted: true }, plan().binding) ?? '').secure,
      true,
    );
  });

  test('is not set when it would say what the client has', () => {
    const { rules, exchange, plan, routing } = scene();
    const { value = '' } = parseSetCookie(rules.cookie(exchange, plan().binding) ?? '');
    const verdict = routing.affinity.verify(value, Date.now());
    assert.ok(verdict.ok);
    const { affinity } = verdict;
    const again = { ...exchange, route: { ...exchange.route, affinity } };
    assert.equal(rules.cookie(again, plan().binding), undefined);
    assert.notEqual(rules.cookie(again, { ...plan().binding, epoch: 4 }), undefined);
  });
});
