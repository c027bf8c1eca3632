import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { eventually } from '../services/eventually.ts';
import { SmallInstallation } from '../services/small-installation.ts';
import type { Visit } from '../services/visitor.ts';

function assertRefused({ status, body }: Visit, code: string): void {
  assert.deepEqual([status, (body as { code?: string }).code], [503, code]);
}

test('an SQLite file that somebody keeps locked has writes withheld, moves refused, and loses nothing', async () => {
  await using installation = await SmallInstallation.start({
    gateway: { timeouts: { hold: '1500ms' } },
    pool: { balance: 'round-robin', onStoreDown: 'refuse' },
  });
  const [homeless, settled] = [installation.visitor(), installation.visitor()];
  const { server: gone = '' } = await homeless.post('/cart/tea');
  const { server: left = '' } = await settled.post('/cart/milk');
  assert.notEqual(gone, left);
  await installation.server(gone).stop();
  await installation.sees(gone, false);

  const intruder = new DatabaseSync(installation.storeUrl.slice('sqlite:'.length));
  intruder.exec('BEGIN IMMEDIATE');
  assert.deepEqual((await settled.get('/cart')).body, ['milk'], 'reads go on');
  assertRefused(await settled.post('/cart/cake'), 'COMMIT_UNKNOWN');
  // Reading needs no lock, so the record is found; only nobody can become its owner.
  assertRefused(await homeless.get('/cart'), 'SESSION_UNKNOWN');

  intruder.exec('ROLLBACK');
  intruder.close();
  const moved = await eventually('the session moves', async () => {
    const visit = await homeless.get('/cart');
    return visit.status === 200 && visit;
  });
  assert.deepEqual([moved.server, moved.body], [left, ['tea']]);
  const saved = await eventually('the change that was refused is saved all the same', async () => {
    const visit = await settled.post('/cart/bread');
    return visit.status === 200 && visit;
  });
  assert.deepEqual((saved.body as string[]).slice(0, 3), ['milk', 'cake', 'bread']);
});
