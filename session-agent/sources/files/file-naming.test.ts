import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { FILE_FORMATS } from './file-format.ts';
import { FileNaming } from './file-naming.ts';

const php = (depth: number) => new FileNaming('sess_{id}', depth, FILE_FORMATS.php.id);

describe('names of session files', () => {
  test('the leading characters of the ID name the subdirectories', () => {
    assert.equal(php(0).pathOf('abc'), 'sess_abc');
    assert.equal(php(2).pathOf('abc'), 'a/b/sess_abc');
    assert.equal(php(2).idOf('a/b/sess_abc'), 'abc');
  });

  test('a file in a subdirectory of another ID is no session', () => {
    assert.equal(php(2).idOf('b/a/sess_abc'), undefined);
    assert.equal(php(2).idOf('sess_abc'), undefined);
    assert.equal(php(0).idOf('a/sess_abc'), undefined);
  });

  test('an ID too short for the subdirectories has no file', () => {
    assert.equal(php(3).pathOf('abc'), undefined);
    assert.equal(php(3).pathOf('abcd'), 'a/b/c/sess_abcd');
  });

  test('an ID and its path lead to each other', () => {
    const id = fc.stringMatching(FILE_FORMATS.php.id);
    fc.assert(
      fc.property(id, fc.integer({ min: 0, max: 5 }), (id, depth) => {
        const path = php(depth).pathOf(id);
        if (id.length > depth) assert.equal(php(depth).idOf(path as string), id);
        else assert.equal(path, undefined);
      }),
    );
  });

  test('no ID leads out of the directory', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('.', '/', '\\', '\0', 'a', '\n') }),
        fc.nat(5),
        (id, depth) => {
          for (const format of Object.values(FILE_FORMATS)) {
            const path = new FileNaming('{id}', depth, format.id).pathOf(id);
            if (path !== undefined) assert.match(path, /^(a\/)*a+$/);
          }
        },
      ),
    );
  });

  test('temporary files of the app and of the agent are no sessions', () => {
    const bare = new FileNaming('{id}', 0, FILE_FORMATS.generic.id);
    const json = new FileNaming('{id}.json', 0, FILE_FORMATS.generic.id);
    for (const name of ['.stickshift-1', 'tmpabc.__wz_cache', '.tmp', 'a.tmp']) {
      assert.equal(bare.idOf(name), undefined, name);
    }
    assert.equal(json.idOf('abc.json.12345'), undefined);
    assert.equal(json.idOf('abc.json'), 'abc');
  });
});
