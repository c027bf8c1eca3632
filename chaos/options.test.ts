import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FAULT_KINDS } from './faults/kinds.ts';
import { readOptions } from './options.ts';

describe('the options of a chaos run', () => {
  test('by default every kind of fault, two minutes, and a seed of its own', () => {
    const [one, another] = [readOptions([]), readOptions([])];
    assert.ok(one !== 'help' && another !== 'help');
    assert.deepEqual(
      one.faults,
      FAULT_KINDS.map(({ name }) => name),
    );
    assert.deepEqual([one.minutes, one.workers, one.control, one.onStoreDown], [2, 1, 'none', undefined]);
    assert.notEqual(one.seed, another.seed);
  });

  test('say what is wrong with them', () => {
    assert.throws(() => readOptions(['--minutes', 'two']), /--minutes: expected a number/);
    assert.throws(() => readOptions(['--faults', 'kill-app,flood']), /no fault is called "flood"/);
    assert.throws(() => readOptions(['--control', 'gravity']), /--control: expected none or async/);
  });
});
