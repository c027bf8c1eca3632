import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeFrame, encodeFrame, type Frame, scanFrames } from './frame.ts';

const frame: fc.Arbitrary<Frame> = fc.record(
  {
    number: fc.nat({ max: 2 ** 48 - 1 }),
    kind: fc.nat({ max: 255 }),
    payload: fc.uint8Array({ maxLength: 64 }),
  },
  { noNullPrototype: true },
);
const frames = fc.array(frame, { minLength: 1, maxLength: 8 });
const prefix = fc.uint8Array({ maxLength: 16 });

function plain(found: readonly Frame[]): Frame[] {
  return found.map(({ number, kind, payload }) => ({ number, kind, payload: new Uint8Array(payload) }));
}

test('what is written is read again, wherever it begins', () => {
  fc.assert(
    fc.property(frames, prefix, (written, before) => {
      const bytes = Buffer.concat([before, ...written.map(encodeFrame)]);
      const scan = scanFrames(bytes, before.length);
      assert.deepEqual(plain(scan.frames), written);
      assert.equal(scan.state, 'whole');
      assert.equal(scan.end, bytes.length);
      for (const { offset, size, number } of scan.frames) {
        assert.equal(decodeFrame(bytes.subarray(offset, offset + size))?.number, number);
      }
    }),
  );
});

test('cut at any byte, all frames before the cut are kept, and the cut one is known to be torn', () => {
  fc.assert(
    fc.property(frames, (written) => {
      const encoded = written.map(encodeFrame);
      const bytes = Buffer.concat(encoded);
      const ends = [0];
      for (const each of encoded) ends.push((ends.at(-1) ?? 0) + each.length);
      for (let cut = 0; cut <= bytes.length; cut++) {
        const scan = scanFrames(bytes.subarray(0, cut), 0);
        const whole = ends.filter((end) => end <= cut).length - 1;
        assert.deepEqual(plain(scan.frames), written.slice(0, whole), `cut at ${cut}`);
        assert.equal(scan.end, ends[whole]);
        assert.equal(scan.state, ends[whole] === cut ? 'whole' : 'torn', `cut at ${cut}`);
      }
    }),
    { numRuns: 30 },
  );
});

test('a file that the file system has grown with zeros is torn, not damaged', () => {
  const bytes = Buffer.concat([
    encodeFrame({ number: 1, kind: 1, payload: Buffer.from('kept') }),
    Buffer.alloc(40),
  ]);
  const { frames: found, state } = scanFrames(bytes, 0);
  assert.equal(found.length, 1);
  assert.equal(state, 'torn');
});

test('a changed byte costs the frame that it is in, and no other', () => {
  fc.assert(
    fc.property(
      fc.array(frame, { minLength: 2, maxLength: 6 }),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (written, where, change) => {
        const bytes = Buffer.concat(written.map(encodeFrame));
        const at = where % bytes.length;
        bytes[at] = (bytes[at] ?? 0) ^ change;
        const { frames: found, state } = scanFrames(bytes, 0);
        const ends = written.map(
          (_, index) => Buffer.concat(written.slice(0, index + 1).map(encodeFrame)).length,
        );
        const hit = ends.findIndex((end) => end > at);
        assert.deepEqual(
          plain(found),
          written.filter((_, index) => index !== hit),
        );
        // In the last frame, damage to its length cannot be told from a cut.
        if (hit < written.length - 1) assert.equal(state, 'damaged');
        else assert.notEqual(state, 'whole');
      },
    ),
  );
});

test('whatever bytes there are, reading them ends', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 256 }), (bytes) => {
      const { end } = scanFrames(Buffer.from(bytes), 0);
      assert.ok(end <= bytes.length);
    }),
  );
});
