import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Verdict } from './verdict.ts';

const verdict = (options = { rise: 2, fall: 3 }) => new Verdict(options);

describe('a verdict', () => {
  test('is down before the first check', () => {
    assert.equal(verdict().up, false);
  });

  test('is decided by the very first check, good or bad', () => {
    assert.equal(verdict().note(true), true);
    assert.equal(verdict().note(false), false);
  });

  test('falls after `fall` bad checks in a row, and not before', () => {
    const subject = verdict();
    subject.note(true);
    assert.deepEqual(
      [false, false, true, false, false, false].map((good) => subject.note(good)),
      [undefined, undefined, undefined, undefined, undefined, false],
    );
  });

  test('rises after `rise` good checks in a row', () => {
    const subject = verdict();
    subject.note(false);
    assert.deepEqual(
      [true, false, true, true].map((good) => subject.note(good)),
      [undefined, undefined, undefined, true],
    );
  });

  test('falls at once when the bad check is certain', () => {
    const subject = verdict();
    subject.note(true);
    assert.equal(subject.note(false, true), false);
  });

  test('in doubt is down at once, and the next check alone decides', () => {
    const subject = verdict();
    subject.note(true);
    assert.equal(subject.doubt(), true);
    assert.equal(subject.up, false);
    assert.equal(subject.note(true), true);
  });

  test('whose doubt was confirmed rises as slowly as any other', () => {
    const subject = verdict();
    subject.note(true);
    subject.doubt();
    assert.equal(subject.note(false), undefined);
    assert.equal(subject.note(true), undefined);
    assert.equal(subject.note(true), true);
  });
});

test('a verdict changes only when the last checks agree against it', () => {
  const counts = fc.integer({ min: 1, max: 5 });
  fc.assert(
    fc.property(counts, counts, fc.array(fc.boolean(), { minLength: 1 }), (rise, fall, checks) => {
      const subject = verdict({ rise, fall });
      checks.forEach((good, i) => {
        const before = subject.up;
        const changed = subject.note(good);
        const needed = good ? rise : fall;
        const agreeing = checks.slice(Math.max(0, i + 1 - needed), i + 1).filter((check) => check === good);
        assert.equal(changed !== undefined, i === 0 || (good !== before && agreeing.length === needed));
        assert.equal(subject.up, changed ?? before);
      });
    }),
  );
});
