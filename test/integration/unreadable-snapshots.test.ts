import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import type { RecordSummary } from '../../store/snapshot-store.ts';
import { eventually } from '../services/eventually.ts';
import { SmallInstallation } from '../services/small-installation.ts';
import type { Visit, Visitor } from '../services/visitor.ts';

const KEY = 'the key that seals the snapshots';
const OTHER_KEY = 'a key that sealed none of the snapshots';

/** A visitor whose session lives on a server that is gone, and the server that is left to take it over. */
async function orphanedSession(installation: SmallInstallation) {
  const visitor = installation.visitor();
  const { server, status } = await visitor.post('/cart/tea');
  assert.equal(status, 200);
  const left = installation.other(server);
  const gone = installation.server(server);
  await gone.stop();
  await installation.sees(gone.id, false);
  const store = await installation.openStore();
  const key = installation.keyOf(visitor.sessionId);
  const record = async () => (await store.lookup(key)) ?? assert.fail('the record is gone');
  return { visitor, key, gone, left, record, closeStore: () => store.close() };
}

function rewriteSnapshot(storeUrl: string, key: string, rewrite: (snapshot: Uint8Array) => Uint8Array): void {
  const database = new DatabaseSync(storeUrl.slice('sqlite:'.length), { timeout: 5_000 });
  const row = database.prepare('SELECT snapshot FROM records WHERE key = ?').get(key);
  assert.ok(row?.snapshot instanceof Uint8Array);
  database.prepare('UPDATE records SET snapshot = ? WHERE key = ?').run(rewrite(row.snapshot), key);
  database.close();
}

/** What the session is refused with, without a word to the client that it is not to read. */
function assertRefused(visit: Visit): void {
  assert.equal(visit.status, 503);
  assert.equal((visit.body as { code?: string }).code, 'SESSION_UNKNOWN');
  assert.match(visit.headers.get('proxy-status') ?? '', /details="SESSION_UNKNOWN"/);
  assert.equal(visit.headers.get('retry-after'), '1');
  assert.deepEqual(visit.headers.getSetCookie(), [], 'no new session, no new binding');
  assert.equal(visit.server, undefined, 'no app server has seen the request');
  assert.doesNotMatch(JSON.stringify(visit.body), /app-\d|key|seal|snapshot|127\.0\.0\.1/i);
}

/** Still the same commit, still nobody's by mistake: released, for whoever can read it, with an epoch that only grew. */
function assertKept(before: RecordSummary, after: RecordSummary): void {
  const { state, seq, size, committedAt, deadlines } = after;
  assert.deepEqual(
    { state, seq, size, committedAt, deadlines },
    {
      state: 'released',
      seq: before.seq,
      size: before.size,
      committedAt: before.committedAt,
      deadlines: before.deadlines,
    },
  );
  assert.ok(after.epoch > before.epoch);
}

async function assertHasTea(visitor: Visitor, server: string): Promise<void> {
  const visit = await visitor.get('/cart');
  assert.deepEqual([visit.status, visit.server, visit.body], [200, server, ['tea']]);
}

test('a snapshot sealed with a key that nobody has is kept until somebody has it', async (t) => {
  await using installation = await SmallInstallation.start({ encryptionKeys: [KEY] });
  const { visitor, left, record, closeStore } = await orphanedSession(installation);
  t.after(closeStore);
  const before = await record();
  await left.stop();
  await left.start({ encryptionKeys: [OTHER_KEY] });
  await installation.sees(left.id, true);

  for (let attempt = 0; attempt < 3; attempt++) assertRefused(await visitor.get('/cart'));
  assertRefused(await visitor.post('/cart/cake'));
  assertKept(before, await record());
  const [line] = left.log.matching(/could not be adopted/);
  assert.equal(line?.['stickshift.session.key'], installation.keyOf(visitor.sessionId));
  assert.partialDeepStrictEqual(line, { err: { code: 'SNAPSHOT_CORRUPT' } });
  assert.match(JSON.stringify(line), /not among store\.encryption\.keys/);
  assert.ok(installation.gatewayLog.matching(/could not be moved/).length > 0);
  assert.doesNotMatch(JSON.stringify(left.log.lines), new RegExp(visitor.sessionId));

  await left.stop();
  await left.start({ encryptionKeys: [OTHER_KEY, KEY] });
  await installation.sees(left.id, true);
  await assertHasTea(visitor, left.id);
  assert.deepEqual((await visitor.post('/cart/cake')).body, ['tea', 'cake']);
});

for (const [what, damage] of [
  [
    'one bit of it flipped',
    (bytes: Uint8Array) => bytes.map((byte, at) => (at === bytes.length - 20 ? byte ^ 1 : byte)),
  ],
  ['its end cut off', (bytes: Uint8Array) => bytes.subarray(0, bytes.length - 5)],
  ['random bytes in its place', (bytes: Uint8Array) => randomBytes(bytes.length)],
  ['nothing in its place', () => new Uint8Array()],
  ['the version of a later release', (bytes: Uint8Array) => bytes.map((byte, at) => (at === 0 ? 200 : byte))],
] as const) {
  test(`a snapshot with ${what} starts no empty session, and works again when it is put back`, async (t) => {
    await using installation = await SmallInstallation.start();
    const { visitor, key, left, record, closeStore } = await orphanedSession(installation);
    t.after(closeStore);
    let intact: Uint8Array | undefined;
    rewriteSnapshot(installation.storeUrl, key, (snapshot) => {
      intact = snapshot;
      return damage(snapshot);
    });
    const before = await record();

    assertRefused(await visitor.get('/cart'));
    assertRefused(await visitor.post('/cart/cake'));
    assertKept(before, await record());
    assert.match(JSON.stringify(left.log.matching(/could not be adopted/)), /SNAPSHOT_(CORRUPT|TOO_NEW)/);

    rewriteSnapshot(installation.storeUrl, key, () => intact ?? assert.fail());
    await assertHasTea(visitor, left.id);
    assert.equal((await record()).owner, left.id);
  });
}

test('a snapshot that one server cannot read is adopted by another that can', async (t) => {
  await using installation = await SmallInstallation.start({ encryptionKeys: [KEY] });
  const { visitor, gone, left, closeStore } = await orphanedSession(installation);
  t.after(closeStore);
  await left.stop();
  await left.start({ encryptionKeys: [OTHER_KEY] });
  await installation.sees(left.id, true);
  assertRefused(await visitor.get('/cart'));
  await gone.start();
  await installation.sees(gone.id, true);
  await eventually('the session is where it can be read', async () => {
    return (await visitor.get('/cart')).server === gone.id;
  });
  await assertHasTea(visitor, gone.id);
});
