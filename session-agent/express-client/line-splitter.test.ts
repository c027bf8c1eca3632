import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { LineSplitter } from './line-splitter.ts';

/** Cuts `bytes` at the given places and collects the lines that come out. */
function split(bytes: Uint8Array, cuts: readonly number[], maxLine = 1_000_000): string[] {
  const splitter = new LineSplitter(maxLine);
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  const lines: string[] = [];
  let from = 0;
  for (const to of [...places, bytes.length]) {
    lines.push(...splitter.push(bytes.subarray(from, to)));
    from = to;
  }
  return lines;
}

const lineText = fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\n', '').toWellFormed());

describe('the line splitter', () => {
  test('gives the same lines however the bytes are torn', () => {
    fc.assert(
      fc.property(fc.array(lineText), fc.array(fc.nat()), (lines, cuts) => {
        const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
        assert.deepEqual(split(bytes, cuts), lines);
      }),
    );
  });

  test('puts characters together that were torn at every byte', () => {
    const bytes = Buffer.from('{"cart":"żółw 🐢"}\n{}\n');
    assert.deepEqual(split(bytes, [...bytes.keys()]), ['{"cart":"żółw 🐢"}', '{}']);
  });

  test('keeps back a line that has not ended', () => {
    const splitter = new LineSplitter(100);
    assert.deepEqual([...splitter.push(Buffer.from('one\ntw'))], ['one']);
    assert.deepEqual([...splitter.push(Buffer.from('o\n'))], ['two']);
  });

  test('takes a line of just the limit', () => {
    assert.deepEqual(split(Buffer.from('12345\n67890\n'), [3, 8], 5), ['12345', '67890']);
  });

  test('refuses a line over the limit before it has ended', () => {
    const splitter = new LineSplitter(5);
    assert.deepEqual([...splitter.push(Buffer.from('1234'))], []);
    assert.throws(() => [...splitter.push(Buffer.from('56'))], RangeError);
  });

  test('refuses a line over the limit that came in one piece', () => {
    assert.throws(() => split(Buffer.from('123456\n'), [], 5), RangeError);
  });

  test('a limit raised between two lines holds for the second', () => {
    const splitter = new LineSplitter(3);
    const lines: string[] = [];
    for (const line of splitter.push(Buffer.from('abc\nlonger\n'))) {
      lines.push(line);
      splitter.maxLine = 10;
    }
    assert.deepEqual(lines, ['abc', 'longer']);
  });
});
