import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Ejection } from './ejection.ts';

const ejection = (failures = 3, duration = 5_000) => new Ejection({ failures, duration });

describe('an ejection', () => {
  test('is due after enough failures in a row', () => {
    const subject = ejection();
    assert.deepEqual([subject.failed(), subject.failed(), subject.failed()], [false, false, true]);
  });

  test('is not due when a success came between the failures', () => {
    const subject = ejection();
    subject.failed();
    subject.failed();
    subject.succeeded();
    assert.deepEqual([subject.failed(), subject.failed()], [false, false]);
  });

  test('lasts twice as long each time, up to a minute', () => {
    const subject = ejection();
    const lengths = Array.from({ length: 6 }, () => subject.begin());
    assert.deepEqual(lengths, [5_000, 10_000, 20_000, 40_000, 60_000, 60_000]);
  });

  test('is short again after a success', () => {
    const subject = ejection();
    subject.begin();
    subject.begin();
    subject.succeeded();
    assert.equal(subject.begin(), 5_000);
  });

  test('that is configured longer than a minute keeps its length', () => {
    const subject = ejection(1, 120_000);
    assert.deepEqual([subject.begin(), subject.begin()], [120_000, 120_000]);
  });

  test('is clean only when a success would change nothing', () => {
    const subject = ejection();
    assert.equal(subject.isClean, true);
    subject.failed();
    assert.equal(subject.isClean, false);
    subject.succeeded();
    assert.equal(subject.isClean, true);
    subject.begin();
    assert.equal(subject.isClean, false);
  });
});
