import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { StickshiftError } from '../../../protocol/errors.ts';
import { ownerOfNewFile } from './new-file-owner.ts';

const sample = { uid: 33, gid: 34, mode: 0o640 };
const directory = (uid: number, mode: number) => ({ uid, gid: 7, mode: 0o40000 | mode });

describe('the owner of a new session file', () => {
  test('is the one of the configuration, with the mode of the app’s files', () => {
    const owner = ownerOfNewFile('5:6', sample, directory(0, 0o1733), 0);
    assert.deepEqual(owner, { uid: 5, gid: 6, mode: 0o640 });
  });

  test('is the one of the app’s files', () => {
    assert.deepEqual(ownerOfNewFile(undefined, sample, directory(0, 0o1733), 0), sample);
  });

  test('is the agent’s own user when there are no files and it is not root', () => {
    const owner = ownerOfNewFile(undefined, undefined, directory(0, 0o1733), 33);
    assert.deepEqual(owner, { uid: 33, gid: 7, mode: 0o600 });
  });

  test('is the one of the directory for root', () => {
    const owner = ownerOfNewFile(undefined, undefined, directory(33, 0o700), 0);
    assert.deepEqual(owner, { uid: 33, gid: 7, mode: 0o600 });
  });

  test('is not guessed for a directory of root that all may write to', () => {
    assert.throws(
      () => ownerOfNewFile(undefined, undefined, directory(0, 0o1733), 0),
      (error: unknown) => error instanceof StickshiftError && error.message.includes('`owner`'),
    );
  });
});
