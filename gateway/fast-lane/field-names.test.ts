import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { FieldNames } from './field-names.ts';

/** As many as are remembered beside those that are kept for good. */
const REMEMBERED = 4_096;

/** Names of which `host` is kept for good and `cookie` is read, and how often each one's fate was asked for. */
function scene() {
  const asked = new Map<string, number>();
  const names = new FieldNames<'forward' | 'drop'>(
    ['host'],
    (lower) => {
      asked.set(lower, (asked.get(lower) ?? 0) + 1);
      return lower.startsWith('te') ? 'drop' : 'forward';
    },
    (lower) => lower === 'cookie',
  );
  const timesAsked = (lower: string) => asked.get(lower) ?? 0;
  /** Has `count` others come by, as anybody can. */
  const flood = (count: number) => {
    for (let index = 0; index < count; index++) names.of(`x-made-up-${index}`);
  };
  return { names, timesAsked, flood };
}

describe('the names of header fields', () => {
  test('are one, however they are spelled', () => {
    const { names } = scene();
    fc.assert(
      fc.property(fc.stringMatching(/^[\w!#$%&'*+.^`|~-]{1,12}$/), (spelling) => {
        const name = names.of(spelling);
        assert.equal(name.lower, spelling.toLowerCase());
        assert.equal(names.of(spelling.toUpperCase()), name);
        assert.equal(names.of(spelling.toLowerCase()), name);
      }),
    );
  });

  test('have the fate that the name has in lower case', () => {
    const { names } = scene();
    assert.partialDeepStrictEqual(names.of('TE'), { lower: 'te', fate: 'drop', isRead: false });
    assert.partialDeepStrictEqual(names.of('CooKie'), { lower: 'cookie', fate: 'forward', isRead: true });
  });

  test('are judged once, and then known', () => {
    const { names, timesAsked } = scene();
    for (const spelling of ['X-Mine', 'x-mine', 'X-MINE', 'X-Mine']) names.of(spelling);
    assert.equal(timesAsked('x-mine'), 1);
  });

  test('with a fate of their own are never forgotten, whatever comes by', () => {
    const { names, timesAsked, flood } = scene();
    const host = names.of('Host');
    flood(3 * REMEMBERED);
    assert.equal(names.of('HOST'), host);
    assert.equal(timesAsked('host'), 1);
  });

  test('stay what they are within a head, whatever else is in it', () => {
    const { names } = scene();
    names.beginHead();
    const mine = names.of('x-mine');
    for (let index = 0; index < 3 * REMEMBERED; index++) names.of(`x-made-up-${index}`);
    assert.equal(names.of('X-Mine'), mine);
  });

  test('are one in every spelling, though one of these is used all the time and others come by', () => {
    const { names } = scene();
    for (let index = 0; index < 3 * REMEMBERED; index++) {
      names.beginHead();
      names.of('authorization');
      names.of(`x-made-up-${index}`);
    }
    assert.equal(names.of('Authorization'), names.of('authorization'));
  });

  test('that were made up are forgotten before the next head, when there are too many', () => {
    const { names, timesAsked, flood } = scene();
    const many = 3 * REMEMBERED;
    flood(many);
    names.beginHead();
    // The last ones first: to learn one again must not bring back another.
    for (let index = many - 1; index >= 0; index--) {
      names.of(`x-made-up-${index}`);
      assert.equal(timesAsked(`x-made-up-${index}`), 2);
    }
  });

  test('that were made up in many spellings are forgotten as well', () => {
    const { names, timesAsked } = scene();
    const spelling = (index: number) =>
      [...'abcdefghijklm']
        .map((letter, bit) => (index & (1 << bit) ? letter.toUpperCase() : letter))
        .join('');
    const name = names.of('abcdefghijklm');
    for (let index = 0; index < 3 * REMEMBERED; index++) assert.equal(names.of(spelling(index)), name);
    names.beginHead();
    names.of('abcdefghijklm');
    assert.equal(timesAsked('abcdefghijklm'), 2);
  });
});
