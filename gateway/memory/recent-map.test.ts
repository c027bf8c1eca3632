import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { detached, RecentMap } from './recent-map.ts';

describe('RecentMap', () => {
  test('never holds more than its limit, and what it holds is what was set last', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 20 }),
        fc.array(fc.tuple(fc.integer({ min: 0, max: 30 }), fc.nat())),
        (limit, writes) => {
          const map = new RecentMap<number, number>(limit);
          const truth = new Map<number, number>();
          for (const [key, value] of writes) {
            map.set(key, value);
            truth.set(key, value);
            assert.ok(map.size <= limit);
            assert.equal(map.get(key), value);
          }
          for (const [key, value] of truth) assert.ok([undefined, value].includes(map.get(key)));
        },
      ),
    );
  });

  test('keeps what is used, however much else comes by', () => {
    const map = new RecentMap<number, string>(4);
    map.set(-1, 'used');
    for (let key = 0; key < 100; key++) {
      map.set(key, 'passing');
      assert.equal(map.get(-1), 'used');
    }
    assert.equal(map.get(0), undefined);
  });
});

test('a detached text is the same text', () => {
  const header = 'name=caf\u00e9; other=2';
  assert.equal(detached(header.slice(5, 9)), 'caf\u00e9');
});
