import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

const RUN = join(import.meta.dirname, '..', '..', 'bench', 'run.ts');

test('the benchmark of the full lane runs, and every request it sends is answered', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [RUN, 'full-lane', '--smoke', '--json']);
  const { results } = JSON.parse(stdout);
  assert.deepEqual(Object.keys(results), ['http-proxy-3', 'stickshift']);
  for (const [name, { requestsPerSecond, errors }] of Object.entries<Record<string, number>>(results)) {
    assert.ok((requestsPerSecond ?? 0) > 0, `${name} answered nothing`);
    assert.equal(errors, 0, name);
  }
});
