import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..');

test('docs/dependencies.md gives the reason for every dependency', () => {
  const { dependencies, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const page = readFileSync(join(root, 'docs', 'dependencies.md'), 'utf8');
  const firstCells = page.split('\n').map((line) => /^\|([^|]*)\|/.exec(line)?.[1] ?? '');
  const reasoned = new Set(
    firstCells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1])),
  );
  const unexplained = Object.keys({ ...dependencies, ...devDependencies }).filter(
    (name) => !reasoned.has(name),
  );
  assert.deepEqual(unexplained, []);
});
