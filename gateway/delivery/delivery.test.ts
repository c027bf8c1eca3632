import assert from 'node:assert/strict';
import type { IncomingHttpHeaders } from 'node:http';
import { after, before, beforeEach, describe, test } from 'node:test';
import { trace } from '@opentelemetry/api';
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import fc from 'fast-check';
import { StickshiftError } from '../../protocol/errors.ts';
import { SessionReference } from '../sessions/session-reference.ts';
import { RequestTrace } from '../tracing/request-trace.ts';
import type { Delivery, Miss } from './delivery.ts';
import { deliveryScene, RecordedLane } from './testing/delivery-scene.ts';

const REFUSED: Miss = {
  kind: 'not-connected',
  error: new StickshiftError('CONNECT_FAILED', 'nobody listens'),
};
const STALE: Miss = { kind: 'stale' };
const RESET: Miss = { kind: 'failed', error: new StickshiftError('BACKEND_RESET', 'it hung up') };

describe('a request on its way', () => {
  test('is what was routed, and has been nowhere before it was sent', () => {
    const { deliveries, route } = deliveryScene({ sessionId: 'abc' });
    const head = { method: 'POST', headers: {} };
    const delivery = deliveries.begin('POST', new RequestTrace('POST', head), new RecordedLane());
    assert.throws(() => delivery.route, { code: 'INTERNAL' });
    delivery.begin({ ...head, target: '/cart' }, true);
    assert.throws(() => delivery.backend, { code: 'INTERNAL' });
    assert.partialDeepStrictEqual(delivery, { method: 'POST', target: '/cart', encrypted: true });
    assert.equal(delivery.route, route);
  });

  test('carries what its destination was known by when it was sent', () => {
    const { begin, to, one } = deliveryScene({ sessionId: 'abc' });
    const { delivery } = begin();
    const stamp = { life: 'a-life', recall: 7 };
    one.incarnation = 'first';
    delivery.depart(to(one, { epoch: 3, stamp }), {});
    one.incarnation = 'second';
    const { backend, epoch, incarnation, ended } = delivery;
    assert.deepEqual([backend, epoch, delivery.stamp], [one, 3, stamp]);
    assert.deepEqual([incarnation, ended], ['first', undefined]);
  });

  test('knows no incarnation of an agent that has told none', () => {
    const { begin, to, one } = deliveryScene({});
    const { delivery } = begin();
    delivery.depart(to(one), {});
    assert.equal(delivery.incarnation, undefined);
  });

  test('counts on its backend, and keeps its session there, until it is over', () => {
    const { begin, deliveries, to, one, inFlight } = deliveryScene({ sessionId: 'abc' });
    const { delivery } = begin();
    assert.equal(delivery.isAt(one), false);
    delivery.depart(to(one), {});
    assert.deepEqual([one.inFlight, inFlight.has('shop abc'), delivery.isAt(one)], [1, true, true]);
    deliveries.end(delivery, 200, true);
    assert.deepEqual([one.inFlight, inFlight.has('shop abc')], [0, false]);
  });

  type Scene = Pick<ReturnType<typeof deliveryScene>, 'deliveries'> & { readonly delivery: Delivery };
  const ends: Record<string, (scene: Scene) => void> = {
    'when it was not answered in whole': ({ deliveries, delivery }) => deliveries.end(delivery, 200, false),
    'when its client has gone': ({ deliveries, delivery }) => deliveries.end(delivery, undefined, false),
    'when a web server may say that the process behind it has gone': ({ deliveries, delivery }) =>
      deliveries.end(delivery, 500, true),
    'when it broke off': ({ deliveries, delivery }) => {
      delivery.brokenOff();
      deliveries.end(delivery, 200, true);
    },
    'when its answer was withheld': ({ deliveries, delivery }) => {
      delivery.failed(new StickshiftError('COMMIT_UNKNOWN', 'not saved'), undefined);
      deliveries.end(delivery, 503, true);
    },
    'when its connection was closed over it': ({ delivery }) => delivery.missed(STALE),
    'not when it was answered in whole': ({ deliveries, delivery }) => deliveries.end(delivery, 404, true),
    'not when nobody took it': ({ delivery }) => delivery.missed(REFUSED),
  };
  for (const [when, happens] of Object.entries(ends)) {
    test(`leaves what it did to its session in doubt ${when}`, () => {
      const { begin, deliveries, to, one, inFlight } = deliveryScene({ sessionId: 'abc' });
      const { delivery } = begin();
      delivery.depart(to(one), {});
      happens({ deliveries, delivery });
      assert.equal(inFlight.mayBreak('shop abc'), !when.startsWith('not'));
    });
  }

  test('does not keep its session when its answer may never end, and still counts', () => {
    const { begin, to, one, inFlight } = deliveryScene({ sessionId: 'abc' });
    const { delivery } = begin();
    delivery.becomeEndless();
    assert.equal(delivery.isEndless, false, 'it has not been sent');
    delivery.depart(to(one), {});
    delivery.becomeEndless();
    assert.deepEqual([delivery.isEndless, inFlight.has('shop abc'), one.inFlight], [true, false, 1]);
  });

  test('tells the backend nothing of a session that has ended', () => {
    const { begin, to, one, inFlight } = deliveryScene({ sessionId: 'abc' });
    const { delivery } = begin();
    const { session } = delivery.route;
    assert.ok(session instanceof SessionReference);
    const forwarded: IncomingHttpHeaders = { cookie: 'a=1; sid=abc' };
    delivery.depart(to(one, { ended: { session, epoch: 4 } }), forwarded);
    assert.deepEqual(forwarded, { cookie: 'a=1' });
    assert.equal(delivery.route.session, undefined);
    assert.deepEqual(delivery.ended, { session, epoch: 4 });
    assert.equal(inFlight.has('shop abc'), false);
  });

  test('tells no backend of a session that has ended, also when the first one does not take it', () => {
    const { begin, to, one, two } = deliveryScene({ sessionId: 'abc' });
    const { delivery } = begin();
    const { session } = delivery.route;
    assert.ok(session);
    delivery.depart(to(one, { ended: { session, epoch: 4 } }), { cookie: 'a=1; sid=abc' });
    delivery.missed(REFUSED);
    // A lane may make the headers anew for each attempt, from those of the client. Without a session to place, none has ended.
    const forwarded: IncomingHttpHeaders = { cookie: 'a=1; sid=abc' };
    delivery.depart(to(two), forwarded);
    assert.deepEqual(forwarded, { cookie: 'a=1' });
  });

  test('tells health that its backend has answered', () => {
    const { begin, to, one, heard } = deliveryScene({});
    const { delivery } = begin();
    delivery.depart(to(one), {});
    delivery.answered(500);
    assert.deepEqual(heard, ['app-1 succeeded']);
  });
});

describe('an attempt that brought no answer', () => {
  test('leaves its backend, which is not chosen again when it refused the connection', () => {
    const { begin, to, one, two, inFlight, refusals, heard, counters } = deliveryScene({ sessionId: 'abc' });
    const { delivery } = begin();
    delivery.next();
    delivery.depart(to(one), {});
    delivery.missed(REFUSED);
    assert.deepEqual([one.inFlight, inFlight.has('shop abc')], [0, false]);
    delivery.next();
    delivery.depart(to(two), {});
    delivery.missed(REFUSED);
    delivery.next();
    assert.deepEqual(refusals, [[], ['app-1'], ['app-1', 'app-2']]);
    assert.deepEqual(heard, ['app-1 connectFailed', 'app-2 connectFailed']);
    assert.deepEqual(counters.retries, { connect: 2, reset: 0 });
  });

  test('on a pooled connection that had been closed is no failure of its backend, which may be chosen again', () => {
    const { begin, to, one, refusals, heard, counters } = deliveryScene({});
    const { delivery } = begin();
    delivery.depart(to(one), {});
    delivery.missed(STALE);
    delivery.next();
    assert.deepEqual([refusals, heard, one.inFlight], [[[]], [], 0]);
    assert.deepEqual(counters.retries, { connect: 0, reset: 1 });
  });

  test('and may have run is not made again, and leaves its session in doubt', () => {
    const { begin, to, one, known, heard } = deliveryScene({ sessionId: 'abc' });
    const { delivery } = begin();
    delivery.depart(to(one), {});
    assert.throws(() => delivery.missed(RESET), { code: 'BACKEND_RESET' });
    assert.equal(known.get('shop abc')?.isDoubtful, true);
    assert.deepEqual(heard, ['app-1 backendReset']);
  });

  test('through no fault of its backend is not held against that', () => {
    const { begin, to, one, heard } = deliveryScene({});
    const { delivery } = begin();
    delivery.depart(to(one), {});
    const error = new StickshiftError('REQUEST_TIMEOUT', 'the body paused for too long');
    assert.throws(() => delivery.missed({ kind: 'failed', error }), { code: 'REQUEST_TIMEOUT' });
    assert.deepEqual(heard, []);
  });

  for (const [what, miss, code] of [
    ['the connection is refused', REFUSED, 'CONNECT_FAILED'],
    ['the connection had been closed', STALE, 'BACKEND_RESET'],
  ] as const) {
    test(`is made four times at most when ${what}`, () => {
      const { begin, to, one } = deliveryScene({});
      const { delivery } = begin();
      for (let attempt = 1; attempt <= 3; attempt++) {
        delivery.depart(to(one), {});
        delivery.missed(miss);
      }
      delivery.depart(to(one), {});
      assert.throws(() => delivery.missed(miss), { code });
    });
  }

  test('may be repeated only when nothing can have come of it twice', () => {
    const { begin } = deliveryScene({});
    const mayRepeat = (method: string, reused: boolean, bodyLeft: boolean) =>
      begin(method).delivery.mayRepeat(reused, bodyLeft);
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']) {
      assert.equal(mayRepeat(method, true, false), true, method);
      assert.equal(mayRepeat(method, false, false), false, `${method} on a new connection`);
      assert.equal(mayRepeat(method, true, true), false, `${method} whose body has left`);
    }
    for (const method of ['POST', 'PATCH', 'get', 'PURGE']) {
      assert.equal(mayRepeat(method, true, false), false, method);
    }
  });
});

test('a request counts where it is and nowhere else, whatever becomes of it', () => {
  const step = fc.constantFrom('refused', 'stale', 'reset', 'answered', 'endless', 'gone');
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.boolean(), step), { maxLength: 8 }),
      fc.option(fc.constant('abc'), { nil: undefined }),
      (steps, sessionId) => {
        const scene = deliveryScene(sessionId === undefined ? {} : { sessionId });
        const { begin, deliveries, to, one, two, inFlight, heard } = scene;
        const { delivery } = begin();
        let attempts = 0;
        try {
          for (const [isFirst, what] of steps) {
            const [backend, other] = isFirst ? [one, two] : [two, one];
            delivery.depart(to(backend), {});
            attempts += 1;
            assert.deepEqual([backend.inFlight, other.inFlight], [1, 0]);
            assert.equal(inFlight.has('shop abc'), sessionId !== undefined);
            if (what === 'refused') delivery.missed(REFUSED);
            else if (what === 'stale') delivery.missed(STALE);
            else if (what === 'reset') delivery.missed(RESET);
            else {
              if (what !== 'gone') delivery.answered(200);
              if (what === 'endless') delivery.becomeEndless();
              break;
            }
          }
        } catch (error) {
          assert.ok(error instanceof StickshiftError, String(error));
        }
        assert.ok(attempts <= 4);
        deliveries.end(delivery, undefined, false);
        deliveries.end(delivery, undefined, false);
        assert.deepEqual([one.inFlight, two.inFlight, inFlight.has('shop abc')], [0, 0, false]);
        assert.ok(heard.filter((what) => what.endsWith('succeeded')).length <= 1);
      },
    ),
  );
});

describe('a request that fails', () => {
  test('is counted and logged, and its client is told in the form that it accepts', () => {
    const { begin, counters, log } = deliveryScene({});
    const failure = new StickshiftError('NO_BACKEND', 'no backend of pool shop accepts clients');
    const answer = begin('POST').delivery.failed(failure, 'application/json');
    assert.equal(answer.status, 503);
    assert.equal(answer.headers['Content-Type'], 'application/problem+json');
    assert.doesNotMatch(answer.body, /pool shop/);
    assert.deepEqual(counters.errors, { NO_BACKEND: 1 });
    const [line] = log.matching(/request failed/);
    assert.partialDeepStrictEqual(line, { code: 'NO_BACKEND', method: 'POST' });
    assert.equal(line?.requestId, answer.headers['X-Request-Id'], 'what a client quotes is found in the log');
  });

  test('within its answer is counted and logged with its backend', () => {
    const { begin, to, two, counters, log } = deliveryScene({});
    const { delivery } = begin();
    delivery.depart(to(two), {});
    delivery.brokenOff();
    assert.deepEqual(counters.errors, { BACKEND_RESET: 1 });
    assert.equal(log.matching(/broke off/)[0]?.backend, 'app-2');
  });
});

describe('the end of a request', () => {
  test('counts as the client’s doing when the answer is not whole', () => {
    const { begin, deliveries, counters } = deliveryScene({});
    deliveries.end(begin().delivery, 200, true);
    assert.equal(counters.clientAborts, 0);
    deliveries.end(begin().delivery, 200, false);
    deliveries.end(begin().delivery, undefined, false);
    assert.equal(counters.clientAborts, 2);
  });

  test('is logged where that is wanted, without the target', () => {
    const { begin, deliveries, log } = deliveryScene({ accessLog: true });
    deliveries.end(begin('PUT').delivery, 204, true);
    const [line, ...others] = log.matching(/^request$/);
    assert.partialDeepStrictEqual(line, { method: 'PUT', status: 204, complete: true });
    assert.equal(typeof line?.tookMs, 'number');
    assert.deepEqual(others, []);
    assert.doesNotMatch(JSON.stringify(log.lines), /cart/);
  });

  test('is not logged otherwise', () => {
    const { begin, deliveries, log } = deliveryScene({});
    deliveries.end(begin().delivery, 200, true);
    assert.deepEqual(log.lines, []);
  });
});

describe('the trace of a request', () => {
  const exporter = new InMemorySpanExporter();
  before(() =>
    trace.setGlobalTracerProvider(
      new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }),
    ),
  );
  beforeEach(() => exporter.reset());
  after(() => trace.disable());

  /** Where each span was, and how it ended, of what `work` does with a request. */
  function spansOf(work: (scene: ReturnType<typeof deliveryScene>, delivery: Delivery) => void) {
    const scene = deliveryScene({});
    work(scene, scene.begin().delivery);
    return exporter
      .getFinishedSpans()
      .map(({ attributes, status }) => [
        attributes['stickshift.backend'] ?? 'request',
        status.message ?? attributes['http.response.status_code'],
      ]);
  }

  test('tells what became of each attempt', () => {
    const spans = spansOf(({ deliveries, to, one, two }, delivery) => {
      delivery.depart(to(one), {});
      delivery.missed(REFUSED);
      delivery.depart(to(two), {});
      delivery.missed(STALE);
      delivery.depart(to(two), {});
      delivery.answered(404);
      deliveries.end(delivery, 404, true);
    });
    assert.deepEqual(spans, [
      ['app-1', 'CONNECT_FAILED'],
      ['app-2', 'stale'],
      ['app-2', 404],
      ['request', 404],
    ]);
  });

  test('tells that the client went before there was an answer', () => {
    const spans = spansOf(({ deliveries, to, one }, delivery) => {
      delivery.depart(to(one), {});
      deliveries.end(delivery, undefined, false);
    });
    assert.deepEqual(spans, [
      ['app-1', 'client-gone'],
      ['request', 'CLIENT_ABORTED'],
    ]);
  });
});
