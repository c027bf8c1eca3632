import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { StickshiftError } from '../../protocol/errors.ts';
import { deliveryScene } from './testing/delivery-scene.ts';

describe('when the drain of a backend is over', () => {
  test('what is there fails, and nothing else', () => {
    const { begin, deliveries, to, one, two } = deliveryScene({ sessionId: 'abc' });
    const [there, elsewhere, nowhere] = [begin(), begin(), begin()];
    there.delivery.depart(to(one), {});
    elsewhere.delivery.depart(to(two), {});
    deliveries.closeTo(one);
    assert.deepEqual(
      [there, elsewhere, nowhere].map(({ lane }) => lane.done),
      [['fail BACKEND_RESET'], [], []],
    );
  });

  test('an answer that is on its way from there fails, too, and one that has arrived does not', () => {
    const { begin, deliveries, to, one } = deliveryScene({});
    const [underWay, over] = [begin(), begin()];
    for (const { delivery } of [underWay, over]) {
      delivery.depart(to(one), {});
      delivery.answered(200);
    }
    deliveries.end(over.delivery, 200, true);
    deliveries.closeTo(one);
    assert.deepEqual([underWay.lane.done, over.lane.done], [['fail BACKEND_RESET'], []]);
  });

  test('what has left it, and is being placed elsewhere, goes on', () => {
    const { begin, deliveries, to, one } = deliveryScene({ sessionId: 'abc' });
    const { delivery, lane } = begin();
    delivery.depart(to(one), {});
    delivery.missed({ kind: 'not-connected', error: new StickshiftError('CONNECT_FAILED', 'it is gone') });
    deliveries.closeTo(one);
    assert.deepEqual(lane.done, []);
  });

  test('all that is there fails, though each is over at once', () => {
    const { begin, deliveries, to, one } = deliveryScene({});
    const all = [begin(), begin(), begin()];
    for (const { lane, delivery } of all) {
      delivery.depart(to(one), {});
      lane.onFail = () => deliveries.end(delivery, 502, true);
    }
    deliveries.closeTo(one);
    deliveries.closeTo(one);
    assert.deepEqual(
      all.map(({ lane }) => lane.done),
      all.map(() => ['fail BACKEND_RESET']),
    );
    assert.equal(one.inFlight, 0);
  });
});

describe('when the gateway stops', () => {
  test('connections end with the answers on their way, and what would never end is cut', () => {
    const { begin, deliveries, to, one } = deliveryScene({});
    const [ordinary, endless, unsent, over] = [begin(), begin(), begin(), begin()];
    for (const { delivery } of [ordinary, endless, over]) {
      delivery.depart(to(one), {});
      delivery.answered(200);
    }
    endless.delivery.becomeEndless();
    deliveries.end(over.delivery, 200, true);
    assert.equal(deliveries.stopping, false);
    deliveries.stop();
    assert.equal(deliveries.stopping, true);
    assert.deepEqual(
      [ordinary, endless, unsent, over].map(({ lane }) => lane.done),
      [['closeAfter'], ['closeAfter', 'cut'], ['closeAfter'], []],
    );
  });

  test('requests that begin afterwards are still served', () => {
    const { begin, deliveries, to, one } = deliveryScene({});
    deliveries.stop();
    const { delivery, lane } = begin();
    delivery.depart(to(one), {});
    deliveries.end(delivery, 200, true);
    assert.deepEqual([lane.done, one.inFlight], [[], 0]);
  });
});

test('a request that ends twice is counted once', () => {
  const { begin, deliveries, to, one, counters } = deliveryScene({});
  const { delivery } = begin();
  delivery.depart(to(one), {});
  deliveries.end(delivery, undefined, false);
  deliveries.end(delivery, undefined, false);
  assert.deepEqual([counters.clientAborts, one.inFlight], [1, 0]);
});
