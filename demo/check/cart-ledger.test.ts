import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type AddOutcome, CartLedger } from './cart-ledger.ts';

function ledger(attempts: Record<string, AddOutcome>): CartLedger {
  const made = new CartLedger();
  for (const [id, outcome] of Object.entries(attempts)) made.record(id, outcome);
  return made;
}

describe('a cart ledger', () => {
  const book = () => ledger({ a: 'acknowledged', b: 'indeterminate', c: 'acknowledged', d: 'refused' });

  test('accepts an indeterminate item that is there, and one that is not', () => {
    assert.deepEqual(book().audit(['a', 'b', 'c']), []);
    assert.deepEqual(book().audit(['a', 'c']), []);
  });

  test('finds a lost item', () => {
    assert.deepEqual(book().audit(['a']), ['c is missing']);
    assert.deepEqual(book().audit([]), ['a is missing', 'c is missing']);
  });

  test('finds an item that a repeated request added twice', () => {
    assert.deepEqual(book().audit(['a', 'a', 'c']), ['a is there twice']);
  });

  test('finds items out of order, refused ones and ones of somebody else', () => {
    assert.deepEqual(book().audit(['c', 'a']), ['c is out of order']);
    assert.deepEqual(book().audit(['a', 'c', 'd']), ['d was refused and is there']);
    assert.deepEqual(book().audit(['a', 'c', 'z']), ['z was never added']);
  });

  test('accepts exactly the carts that a faithful shop can show', () => {
    const outcome = fc.constantFrom<AddOutcome>('acknowledged', 'indeterminate', 'refused');
    fc.assert(
      fc.property(fc.array(fc.tuple(outcome, fc.boolean()), { maxLength: 20 }), (attempts) => {
        const made = new CartLedger();
        const cart: string[] = [];
        for (const [index, [result, tookEffect]] of attempts.entries()) {
          made.record(`item-${index}`, result);
          if (result === 'acknowledged' || (result === 'indeterminate' && tookEffect))
            cart.push(`item-${index}`);
        }
        assert.deepEqual(made.audit(cart), []);
        const acknowledged = attempts.findIndex(([result]) => result === 'acknowledged');
        if (acknowledged >= 0) {
          assert.notDeepEqual(made.audit(cart.filter((id) => id !== `item-${acknowledged}`)), []);
        }
      }),
    );
  });
});
