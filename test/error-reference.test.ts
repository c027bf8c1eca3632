import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ERROR_KINDS } from '../protocol/errors.ts';

const page = readFileSync(join(import.meta.dirname, '..', 'docs', 'errors.md'), 'utf8');
const headings = [...page.matchAll(/^### `?([A-Z_]+)`?$/gm)].map((match) => match[1]);

test('docs/errors.md has one heading for every error code, and for nothing else', () => {
  assert.deepEqual(headings.toSorted(), Object.keys(ERROR_KINDS).toSorted());
});

for (const [code, kind] of Object.entries(ERROR_KINDS)) {
  test(`docs/errors.md states the status and retry safety of ${code} as the code has them`, () => {
    const section = page.split(/^### /m).find((part) => part.startsWith(`\`${code}\``)) ?? '';
    assert.match(section, new RegExp(`\\b${kind.status}\\b`));
    assert.match(section, kind.retrySafe ? /, safe to send again/ : /, not safe to send again/);
  });
}
