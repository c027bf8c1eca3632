import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseCookie } from 'cookie';
import fc from 'fast-check';
import { cookieValueAt, nextCookie, stripCookie } from './cookie-header.ts';

function valuesOf(header: string, name: string): string[] {
  const values: string[] = [];
  for (let at = nextCookie(header, name, 0); at !== -1; at = nextCookie(header, name, at)) {
    values.push(cookieValueAt(header, at));
  }
  return values;
}

/** Headers dense with what matters: the wanted name, its neighbours, separators and blanks in odd places. */
const headers = fc
  .array(fc.constantFrom('sid', 'xsid', 'sidx', '=', ';', '; ', ' ', '\t', '"', 'abc', '1'), {
    maxLength: 24,
  })
  .map((parts) => parts.join(''));

describe('cookies of a Cookie header', () => {
  test('are found in order, with every duplicate', () => {
    assert.deepEqual(valuesOf('a=1; sid=x; b=2;sid= y ;\tsid=z', 'sid'), ['x', 'y', 'z']);
  });

  test('are not mistaken for cookies whose name or value holds the name', () => {
    assert.deepEqual(valuesOf('xsid=1; sidx=2; a=sid=3; sid; b=sid', 'sid'), []);
  });

  test('read as the cookie package reads them, whatever the header', () => {
    fc.assert(
      fc.property(headers, (header) => {
        const expected = parseCookie(header, { decode: (value) => value }).sid;
        assert.equal(valuesOf(header, 'sid')[0], expected);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('stripping a cookie', () => {
  test('removes all of that name and leaves the rest byte for byte', () => {
    assert.equal(stripCookie('a=1; sid=x; b=2', 'sid'), 'a=1; b=2');
    assert.equal(stripCookie('sid=x; a=1;sid=y;  b="2"', 'sid'), 'a=1;  b="2"');
    assert.equal(stripCookie('a=1; sid=x', 'sid'), 'a=1');
  });

  test('leaves nothing when there was nothing else', () => {
    assert.equal(stripCookie('sid=x', 'sid'), undefined);
    assert.equal(stripCookie('sid=x; sid=y', 'sid'), undefined);
  });

  test('returns a header without it unchanged', () => {
    const header = ' xsid=1;; a=2 ;';
    assert.equal(stripCookie(header, 'sid'), header);
  });

  test('never leaves one behind, and never touches another cookie', () => {
    // With one more character, because the cookie package takes a header of only one for empty.
    const others = (header: string) =>
      Object.entries(parseCookie(`${header};`, { decode: (value) => value }));
    fc.assert(
      fc.property(headers, (header) => {
        const rest = stripCookie(header, 'sid') ?? '';
        assert.deepEqual(valuesOf(rest, 'sid'), []);
        assert.deepEqual(
          others(rest),
          others(header).filter(([name]) => name !== 'sid'),
        );
      }),
      { numRuns: 2000 },
    );
  });
});
