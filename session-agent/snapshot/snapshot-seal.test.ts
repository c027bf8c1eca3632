import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { StickshiftError } from '../../protocol/errors.ts';
import { sessionKeyDeriver } from '../../protocol/session-key.ts';
import { decodeEnvelope, sealingOf } from './envelope.ts';
import { KeyRing } from './key-ring.ts';
import { decodePayload, encodePayload, type SnapshotPayload } from './payload.ts';
import { SnapshotSeal } from './snapshot-seal.ts';

const deriveKey = sessionKeyDeriver(randomBytes(32), 'shop');
const key = deriveKey('alice');
const oldSecret = randomBytes(32);
const newSecret = randomBytes(32);
const MAX_SESSION = 1024 * 1024;
const seal = new SnapshotSeal(new KeyRing([oldSecret]), { maxSession: MAX_SESSION });

function payload(data: Uint8Array | string): SnapshotPayload {
  return { source: 'express', sessionId: 'alice', idleAt: 1_800_000_000_000, data: Buffer.from(data) };
}

function refused(code: string) {
  return (error: unknown) => error instanceof StickshiftError && error.code === code;
}

const payloads = fc.record({
  source: fc.constantFrom('express' as const, 'files' as const),
  sessionId: fc.string({ minLength: 1 }),
  idleAt: fc.nat(),
  data: fc.oneof(
    fc.uint8Array({ maxLength: 2000 }),
    fc.nat({ max: 100_000 }).map((length) => Buffer.alloc(length, 'cart')),
  ),
});
const commits = fc.record({
  epoch: fc.integer({ min: 1, max: 2 ** 48 - 1 }),
  seq: fc.integer({ min: 1, max: 2 ** 48 - 1 }),
});

test('what was sealed opens as it was, whatever the session, epoch and seq', async () => {
  await fc.assert(
    fc.asyncProperty(payloads, commits, async (original, commit) => {
      const snapshot = await seal.seal(key, commit, original);
      const opened = await seal.open(key, { ...commit, snapshot });
      assert.deepEqual(
        { ...opened, data: Buffer.from(opened.data) },
        { ...original, data: Buffer.from(original.data) },
      );
    }),
    { numRuns: 60 },
  );
});

test('no flipped bit goes unnoticed', async () => {
  const commit = { epoch: 2, seq: 3 };
  const snapshot = await seal.seal(key, commit, payload('x'.repeat(300)));
  for (let bit = 0; bit < snapshot.length * 8; bit++) {
    const broken = Uint8Array.from(snapshot);
    broken[bit >> 3] = (broken[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    await assert.rejects(
      seal.open(key, { ...commit, snapshot: broken }),
      (error) =>
        error instanceof StickshiftError &&
        (error.code === 'SNAPSHOT_CORRUPT' || error.code === 'SNAPSHOT_TOO_NEW'),
      `bit ${bit}`,
    );
  }
});

test('no truncated or extended snapshot opens', async () => {
  const commit = { epoch: 1, seq: 1 };
  const snapshot = await seal.seal(key, commit, payload('a cart'));
  for (let length = 0; length < snapshot.length; length++) {
    await assert.rejects(
      seal.open(key, { ...commit, snapshot: snapshot.subarray(0, length) }),
      refused('SNAPSHOT_CORRUPT'),
      `${length} bytes`,
    );
  }
  const longer = Buffer.concat([snapshot, Buffer.alloc(1)]);
  await assert.rejects(seal.open(key, { ...commit, snapshot: longer }), refused('SNAPSHOT_CORRUPT'));
});

test('random bytes are refused with a typed error', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (snapshot) => {
      await assert.rejects(seal.open(key, { epoch: 1, seq: 1, snapshot }), StickshiftError);
    }),
  );
});

test('a snapshot opens only under its own session key', async () => {
  const snapshot = await seal.seal(key, { epoch: 1, seq: 1 }, payload('a cart'));
  await assert.rejects(
    seal.open(deriveKey('mallory'), { epoch: 1, seq: 1, snapshot }),
    refused('SNAPSHOT_CORRUPT'),
  );
});

test('a snapshot opens only as the commit that it was sealed for', async () => {
  const snapshot = await seal.seal(key, { epoch: 3, seq: 7 }, payload('a cart'));
  await assert.rejects(seal.open(key, { epoch: 3, seq: 8, snapshot }), refused('SNAPSHOT_CORRUPT'));
  await assert.rejects(seal.open(key, { epoch: 3, seq: 6, snapshot }), refused('SNAPSHOT_CORRUPT'));
  await assert.rejects(seal.open(key, { epoch: 2, seq: 7, snapshot }), refused('SNAPSHOT_CORRUPT'));
});

test('a snapshot still opens after its record was adopted and has a newer epoch', async () => {
  const snapshot = await seal.seal(key, { epoch: 3, seq: 7 }, payload('a cart'));
  const opened = await seal.open(key, { epoch: 4, seq: 7, snapshot });
  assert.equal(Buffer.from(opened.data).toString(), 'a cart');
});

test('the first key seals and every key of the ring opens', async () => {
  const rotated = new SnapshotSeal(new KeyRing([newSecret, oldSecret]), { maxSession: MAX_SESSION });
  const retired = new SnapshotSeal(new KeyRing([newSecret]), { maxSession: MAX_SESSION });
  const commit = { epoch: 1, seq: 1 };

  const before = await seal.seal(key, commit, payload('before'));
  const after = await rotated.seal(key, commit, payload('after'));

  assert.equal(
    Buffer.from((await rotated.open(key, { ...commit, snapshot: before })).data).toString(),
    'before',
  );
  assert.equal(
    Buffer.from((await retired.open(key, { ...commit, snapshot: after })).data).toString(),
    'after',
  );
  await assert.rejects(retired.open(key, { ...commit, snapshot: before }), refused('SNAPSHOT_CORRUPT'));
});

test('text is compressed, random bytes are left as they are', async () => {
  const commit = { epoch: 1, seq: 1 };
  const text = await seal.seal(key, commit, payload('item '.repeat(2000)));
  const noise = await seal.seal(key, commit, payload(randomBytes(10_000)));
  assert.ok(text.length < 1000, `${text.length} bytes`);
  assert.equal(decodeEnvelope(text).compressed, true);
  assert.equal(decodeEnvelope(noise).compressed, false);
});

test('a snapshot that would unpack beyond the size limit is refused', async () => {
  const commit = { epoch: 1, seq: 1 };
  const generous = new SnapshotSeal(new KeyRing([oldSecret]), { maxSession: 64 * 1024 * 1024 });
  const bomb = await generous.seal(key, commit, payload(Buffer.alloc(8 * 1024 * 1024)));
  assert.ok(bomb.length < 2048, 'it is small on the outside');
  await assert.rejects(seal.open(key, { ...commit, snapshot: bomb }), refused('SNAPSHOT_CORRUPT'));
});

test('a version, flag or format of a later release is told apart from damage', async () => {
  const commit = { epoch: 1, seq: 1 };
  const snapshot = await seal.seal(key, commit, payload('a cart'));
  const laterVersion = Uint8Array.from(snapshot);
  laterVersion[0] = 2;
  const laterFlag = Uint8Array.from(snapshot);
  laterFlag[1] = 0x80;
  await assert.rejects(seal.open(key, { ...commit, snapshot: laterVersion }), refused('SNAPSHOT_TOO_NEW'));
  await assert.rejects(seal.open(key, { ...commit, snapshot: laterFlag }), refused('SNAPSHOT_TOO_NEW'));

  const laterFormat = encodePayload(payload('a cart'));
  laterFormat.write('"format":9', laterFormat.indexOf('"format":1'));
  assert.throws(() => decodePayload(laterFormat), refused('SNAPSHOT_TOO_NEW'));
});

test('a payload that is not ours is refused with a typed error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      assert.throws(() => decodePayload(Buffer.from(bytes)), refused('SNAPSHOT_CORRUPT'));
    }),
  );
});

test('two sealings of the same bytes can be told apart', async () => {
  const commit = { epoch: 1, seq: 1 };
  const first = await seal.seal(key, commit, payload('a cart'));
  const second = await seal.seal(key, commit, payload('a cart'));
  assert.notEqual(sealingOf(first), sealingOf(second));
  assert.equal(sealingOf(first), sealingOf(Uint8Array.from(first)));
});
