import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { closeFrame, WebSocketFrameBoundary } from './close-frame.ts';

/** A frame as RFC 6455, 5.2 lays it out; `form` is how its length is written. */
function frame({ length, form, masked }: { length: number; form: 7 | 16 | 64; masked: boolean }): Buffer {
  const extended = form === 7 ? Buffer.alloc(0) : Buffer.alloc(form / 8);
  if (form === 16) extended.writeUInt16BE(length);
  if (form === 64) extended.writeBigUInt64BE(BigInt(length));
  const marker = form === 7 ? length : form === 16 ? 126 : 127;
  const head = Buffer.from([0x82, marker | (masked ? 0x80 : 0)]);
  // Filled with what would be taken for a frame's beginning by anybody who loses count.
  return Buffer.concat([head, extended, Buffer.alloc((masked ? 4 : 0) + length, 0x81)]);
}

const frames = fc.array(
  fc.oneof(
    fc.record({ length: fc.nat(125), form: fc.constant(7 as const), masked: fc.boolean() }),
    fc.record({
      length: fc.integer({ min: 126, max: 700 }),
      form: fc.constant(16 as const),
      masked: fc.boolean(),
    }),
    // The longest form may be used for any length: a receiver has to follow it.
    fc.record({ length: fc.nat(700), form: fc.constant(64 as const), masked: fc.boolean() }),
  ),
  { minLength: 1, maxLength: 5 },
);

/** Positions in the stream at which a frame ends. */
function frameEnds(parts: readonly Buffer[]): number[] {
  let at = 0;
  return parts.map((part) => {
    at += part.length;
    return at;
  });
}

describe('frame boundaries', () => {
  test('are found when the stream is torn at any byte', () => {
    fc.assert(
      fc.property(frames, (specs) => {
        const parts = specs.map(frame);
        const stream = Buffer.concat(parts);
        const ends = frameEnds(parts);
        for (let cut = 0; cut <= stream.length; cut++) {
          const boundary = new WebSocketFrameBoundary();
          assert.equal(
            boundary.push(stream.subarray(0, cut)),
            ends.findLast((end) => end <= cut),
          );
          assert.equal(boundary.atBoundary, cut === 0 || ends.includes(cut));
          const second = ends.findLast((end) => end > cut);
          assert.equal(boundary.push(stream.subarray(cut)), second === undefined ? undefined : second - cut);
          assert.equal(boundary.atBoundary, true);
        }
      }),
      { numRuns: 30 },
    );
  });

  test('are found byte by byte', () => {
    fc.assert(
      fc.property(frames, (specs) => {
        const parts = specs.map(frame);
        const stream = Buffer.concat(parts);
        const boundary = new WebSocketFrameBoundary();
        const found: number[] = [];
        for (let at = 0; at < stream.length; at++) {
          if (boundary.push(stream.subarray(at, at + 1)) === 1) found.push(at + 1);
        }
        assert.deepEqual(found, frameEnds(parts));
      }),
      { numRuns: 50 },
    );
  });

  test('can be asked for up to the first', () => {
    const part = frame({ length: 10, form: 7, masked: false });
    const boundary = new WebSocketFrameBoundary();
    boundary.push(part.subarray(0, 5));
    assert.equal(boundary.push(Buffer.concat([part.subarray(5), part, part]), true), part.length - 5);
  });

  test('follow frames of many megabytes', () => {
    const boundary = new WebSocketFrameBoundary();
    const head = Buffer.from([0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0]);
    assert.equal(boundary.push(head), undefined);
    const chunk = Buffer.alloc(2 ** 20);
    for (let sent = 0; sent < 2 ** 12 - 1; sent++) assert.equal(boundary.push(chunk), undefined);
    assert.equal(boundary.push(Buffer.concat([chunk, Buffer.from([0x81])])), chunk.length);
  });

  test('there is one before anything was sent', () => {
    const boundary = new WebSocketFrameBoundary();
    assert.equal(boundary.atBoundary, true);
    assert.equal(boundary.push(Buffer.alloc(0)), undefined);
  });
});

describe('a close frame', () => {
  test('carries code and reason, unmasked', () => {
    assert.deepEqual(closeFrame(1012, 'hi'), Buffer.from([0x88, 4, 0x03, 0xf4, 0x68, 0x69]));
    assert.deepEqual(closeFrame(1001, ''), Buffer.from([0x88, 2, 0x03, 0xe9]));
  });

  test('is one whole frame', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 3000, max: 4999 }),
        fc.string({ maxLength: 30, unit: 'grapheme' }),
        (code, reason) => {
          fc.pre(Buffer.byteLength(reason) <= 123);
          const bytes = closeFrame(code, reason);
          assert.equal(new WebSocketFrameBoundary().push(bytes, true), bytes.length);
          assert.equal(bytes.subarray(4).toString(), reason);
        },
      ),
    );
  });

  test('has no code that must not be sent, and no reason of more than 123 bytes', () => {
    for (const code of [999, 1004, 1005, 1006, 1015, 5000, 1000.5]) {
      assert.throws(() => closeFrame(code, ''), { code: 'INTERNAL' }, String(code));
    }
    assert.equal(closeFrame(1000, 'é'.repeat(61)).length, 126);
    assert.throws(() => closeFrame(1000, 'é'.repeat(62)), { code: 'INTERNAL' });
  });
});
