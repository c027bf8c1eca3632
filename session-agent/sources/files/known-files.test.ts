import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { changeBetween, isUnchanged, seen, seenStamp } from './known-files.ts';

const NOW = 1_700_000_000_000;
const stamp = (mtime: number, size = 3n, ino = 1n) => ({
  ...{ mtimeNs: BigInt(mtime) * 1_000_000n, size, ino },
  birthtimeNs: 0n,
});
const content = (text: string, mtime: number) => ({
  data: Buffer.from(text),
  stamp: stamp(mtime, BigInt(text.length)),
});

describe('what happened between two looks at a file', () => {
  test('a file that nobody knew is a change', () => {
    assert.equal(changeBetween(undefined, seen(content('one', NOW), NOW)), 'changed');
  });

  test('other content is a change, even with the same stamp', () => {
    const before = seen(content('one', NOW), NOW);
    assert.equal(changeBetween(before, seen(content('two', NOW), NOW + 9)), 'changed');
  });

  test('the same content with a newer time is a touch', () => {
    const before = seen(content('one', NOW), NOW);
    assert.equal(changeBetween(before, seen(content('one', NOW + 1), NOW + 9)), 'touched');
  });

  test('the same content with the same or an older time is nothing', () => {
    const before = seen(content('one', NOW), NOW);
    assert.equal(changeBetween(before, seen(content('one', NOW), NOW + 9)), 'none');
    assert.equal(changeBetween(before, seen(content('one', NOW - 5), NOW + 9)), 'none');
  });

  test('a new stamp of a file whose content was never read is a change', () => {
    const before = seenStamp(stamp(NOW - 60_000), NOW);
    assert.equal(changeBetween(before, seen(content('one', NOW), NOW)), 'changed');
    assert.equal(changeBetween(before, seen(content('one', NOW - 60_000), NOW)), 'none');
  });
});

describe('a stamp', () => {
  test('proves that nothing changed when the file was old when it was looked at', () => {
    assert.ok(isUnchanged(seenStamp(stamp(NOW - 60_000), NOW), stamp(NOW - 60_000)));
  });

  test('proves nothing when the file had just been written', () => {
    assert.ok(!isUnchanged(seenStamp(stamp(NOW - 2), NOW), stamp(NOW - 2)));
  });

  test('differs by time, by size and by inode', () => {
    const known = seenStamp(stamp(NOW - 60_000), NOW);
    assert.ok(!isUnchanged(known, stamp(NOW - 59_999)));
    assert.ok(!isUnchanged(known, stamp(NOW - 60_000, 4n)));
    assert.ok(!isUnchanged(known, stamp(NOW - 60_000, 3n, 2n)));
  });
});
