import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Acknowledgements } from './acknowledgements.ts';

const REF = 'shop a-session';

describe('what a client was told is done', () => {
  test('is in the snapshot of its own commit and of later ones, and not in earlier ones', () => {
    const acknowledged = new Acknowledgements();
    acknowledged.committed(REF, 7);
    assert.deepEqual(
      [6, 7, 8].map((seq) => acknowledged.areAheadOf(REF, seq)),
      [true, false, false],
    );
  });

  test('before it was committed is in no snapshot that stood then', () => {
    const acknowledged = new Acknowledgements();
    acknowledged.pending(REF, 7);
    assert.deepEqual(
      [7, 8].map((seq) => acknowledged.areAheadOf(REF, seq)),
      [true, false],
    );
    acknowledged.committed(REF, 8);
    assert.equal(acknowledged.areAheadOf(REF, 8), false);
  });

  test('is not taken back by the answer to an earlier request that comes later', () => {
    const acknowledged = new Acknowledgements();
    acknowledged.committed(REF, 8);
    acknowledged.committed(REF, 7);
    acknowledged.pending(REF, 6);
    assert.equal(acknowledged.areAheadOf(REF, 7), true);
    assert.equal(acknowledged.areAheadOf(REF, 8), false);
  });

  test('counts anew once the session has ended', () => {
    const acknowledged = new Acknowledgements();
    acknowledged.committed(REF, 8);
    acknowledged.forget(REF);
    acknowledged.committed(REF, 1);
    assert.equal(acknowledged.areAheadOf(REF, 1), false);
  });

  test('says nothing of a session that is not known', () => {
    const acknowledged = new Acknowledgements();
    acknowledged.forget(REF);
    assert.equal(acknowledged.areAheadOf(REF, 0), false);
  });
});
