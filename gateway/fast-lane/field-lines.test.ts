import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { FieldLines } from './field-lines.ts';
import { FieldNames } from './field-names.ts';
import { damaged, octets, visibleText } from './testing/octet-streams.ts';

const MOST = 20;

function fieldLines(limit = MOST): FieldLines<'any'> {
  const names = new FieldNames(
    [],
    () => 'any' as const,
    () => false,
  );
  return new FieldLines(names, limit);
}

/** Lower-cased names and values; `undefined` when the lines are none. */
function read(text: string, lines = fieldLines()): [string, string][] | undefined {
  if (!lines.read(text, 0, text.length)) return undefined;
  return Array.from({ length: lines.count }, (_, index) => [
    lines.name(index).lower,
    lines.value(text, index),
  ]);
}

const name = fc.stringMatching(/^[\w!#$%&'*+.^`|~-]{1,8}$/);
const blanks = fc.string({ unit: fc.constantFrom(' ', '\t'), maxLength: 3 });
const value = visibleText.map((text) => text.replace(/^[\t ]+|[\t ]+$/g, ''));
const field = fc.record({ name, before: blanks, value, after: blanks });

describe('field lines', () => {
  test('have names and values, whatever blanks are around these', () => {
    fc.assert(
      fc.property(fc.array(field, { maxLength: MOST }), (fields) => {
        const text = fields.map((it) => `${it.name}:${it.before}${it.value}${it.after}\r\n`).join('');
        assert.deepEqual(
          read(text),
          fields.map((it) => [it.name.toLowerCase(), it.value]),
        );
      }),
    );
  });

  test('follow each other without a gap', () => {
    fc.assert(
      fc.property(fc.array(field, { minLength: 1, maxLength: MOST }), (fields) => {
        const text = fields.map((it) => `${it.name}:${it.before}${it.value}${it.after}\r\n`).join('');
        const lines = fieldLines();
        assert.ok(lines.read(text, 0, text.length));
        assert.equal(lines.start[0], 0);
        for (let index = 1; index < lines.count; index++) {
          assert.equal(lines.start[index], lines.end[index - 1]);
        }
        assert.equal(lines.end[lines.count - 1], text.length);
      }),
    );
  });

  test('are plain exactly when they could be written anew and be the same', () => {
    fc.assert(
      fc.property(field, ({ name, before, value, after }) => {
        const text = `${name}:${before}${value}${after}\r\n`;
        const lines = fieldLines();
        assert.ok(lines.read(text, 0, text.length));
        assert.equal(lines.isPlain(text, 0), text === `${name}: ${value}\r\n`);
      }),
      { examples: [[{ name: 'a', before: '', value: '', after: '' }]] },
    );
  });

  test('are those of RFC 9112 and nothing else, whatever is read', () => {
    const rfc9112 = /^(?:[\w!#$%&'*+.^`|~-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*$/;
    const good = fc
      .array(field, { maxLength: 4 })
      .map((fields) => fields.map((it) => `${it.name}:${it.before}${it.value}${it.after}\r\n`).join(''));
    fc.assert(
      fc.property(fc.oneof(damaged(good), octets({ maxLength: 20 })), (text) => {
        const expected = rfc9112.test(text)
          ? text
              .split('\r\n')
              .slice(0, -1)
              .map((line): [string, string] => {
                const colon = line.indexOf(':');
                return [
                  line.slice(0, colon).toLowerCase(),
                  line.slice(colon + 1).replace(/^[\t ]+|[\t ]+$/g, ''),
                ];
              })
          : undefined;
        assert.deepEqual(read(text), expected);
      }),
      { numRuns: 1_000 },
    );
  });

  for (const [what, text] of [
    ['a blank before the colon', 'a : 1\r\n'],
    ['no colon', 'a\r\n'],
    ['no name', ': 1\r\n'],
    ['a blank at its begin', ' a: 1\r\n'],
    ['a folded value', 'a: 1\r\n 2\r\n'],
    ['a bare CR', 'a: 1\r2\r\n'],
    ['a bare LF', 'a: 1\n2\r\n'],
    ['a NUL', 'a: 1\x002\r\n'],
    ['a DEL', 'a: \x7f\r\n'],
    ['a name beyond ASCII', 'a\xe9: 1\r\n'],
    ['no end', 'a: 1'],
    ['half an end', 'a: 1\r'],
  ] as const) {
    test(`with ${what} are none`, () => {
      assert.equal(read(text), undefined);
      assert.equal(read(`b: 2\r\n${text}`), undefined, 'nor behind a good one');
    });
  }

  test('are read from where they begin to where they are said to end', () => {
    const text = 'GET / HTTP/1.1\r\na: 1\r\nb: 2\r\n\r\nc: 3\r\n';
    const lines = fieldLines();
    assert.ok(lines.read(text, 16, 28));
    assert.equal(lines.count, 2);
    assert.equal(lines.value(text, 1), '2');
    assert.equal(lines.read(text, 16, 25), false, 'a line may not reach beyond that');
  });

  test('are no more than the limit', () => {
    const lines = fieldLines(3);
    assert.equal(read('a: 1\r\n'.repeat(3), lines)?.length, 3);
    assert.equal(read('a: 1\r\n'.repeat(4), lines), undefined);
  });

  test('are those of the head that was read last', () => {
    const lines = fieldLines();
    assert.equal(read('a: 1\r\nb: 2\r\n', lines)?.length, 2);
    assert.deepEqual(read('c: 3\r\n', lines), [['c', '3']]);
    assert.deepEqual(read('', lines), []);
  });
});
