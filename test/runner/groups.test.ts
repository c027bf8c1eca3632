import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { TEST_GROUPS } from './groups.ts';
import { sourceFiles } from './source-files.ts';

const root = join(import.meta.dirname, '..', '..');
const groupsOf = (file: string) => TEST_GROUPS.filter((group) => group.owns(file)).map((group) => group.name);

test('every test file of the repository runs in exactly one group', () => {
  const misplaced = sourceFiles(root)
    .filter((file) => file.endsWith('.test.ts'))
    .filter((file) => groupsOf(file).length !== 1);
  assert.deepEqual(misplaced, []);
});

test('a test file runs in the group of its folder', () => {
  assert.deepEqual(groupsOf('gateway/routing/router.test.ts'), ['unit']);
  assert.deepEqual(groupsOf('test/imports.test.ts'), ['structure']);
  assert.deepEqual(groupsOf('test/contract/store/sqlite.test.ts'), ['contract']);
  assert.deepEqual(groupsOf('test/integration/redis.test.ts'), ['integration']);
  assert.deepEqual(groupsOf('test/end-to-end/compose.test.ts'), ['end-to-end']);
});

test('a test file in a folder of test/ that nobody thought of runs all the same', () => {
  assert.deepEqual(groupsOf('test/new-idea/some.test.ts'), ['integration']);
});
