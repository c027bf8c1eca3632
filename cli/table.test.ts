import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatTable } from './table.ts';

test('columns are as wide as what is in them, numbers stand right, no line ends in a space', () => {
  const columns = [{ title: 'NAME' }, { title: 'N', align: 'right' }, { title: 'STATE' }] as const;
  const rows = [
    ['app-1', '1', 'ready'],
    ['a', '1000', ''],
  ];
  assert.equal(formatTable(columns, rows), 'NAME      N  STATE\napp-1     1  ready\na      1000\n');
});
