import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { StickshiftError } from '../../protocol/errors.ts';
import type { SessionKey } from '../../protocol/session-key.ts';
import type { RecordSummary } from '../../store/snapshot-store.ts';
import type { Pool } from '../backends/pool.ts';
import { testPool } from '../testing/test-pool.ts';
import { adminApiScene, errorOf } from './testing/admin-api-scene.ts';

const RECORD: RecordSummary = {
  state: 'active',
  owner: 'app-1',
  epoch: 3,
  seq: 17,
  size: 512,
  committedAt: 1_000,
  ageMs: 250,
  deadlines: { idleAt: 9_000, absoluteAt: 8_000 },
};

describe('POST /v1/sessions/lookup', () => {
  const look = (pool: Pool, id: string) => {
    const key = pool.sessionKey(id);
    return { key, lookup: async (asked: SessionKey) => (asked === key ? RECORD : undefined) };
  };
  const reference = testPool({ 'app-1': {} });

  test('finds a session by its ID, with its expiry', async (t) => {
    const { key, lookup } = look(reference, 'the-session');
    const { post } = await adminApiScene(t, { lookup });
    const answer = await post('/v1/sessions/lookup', { session: 'the-session' });
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.json, {
      key,
      pool: 'shop',
      state: 'active',
      owner: 'app-1',
      epoch: 3,
      seq: 17,
      size: 512,
      ageMs: 250,
      expiresAt: 8_000,
    });
  });

  test('finds a session by its key', async (t) => {
    const { key, lookup } = look(reference, 'the-session');
    const { post } = await adminApiScene(t, { lookup });
    const answer = await post('/v1/sessions/lookup', { session: key });
    assert.deepEqual([answer.status, (answer.json as { pool?: string }).pool], [200, 'shop']);
  });

  test('finds a session whose ID looks like a key', async (t) => {
    const id = 'k'.repeat(43);
    const { key, lookup } = look(reference, id);
    const { post } = await adminApiScene(t, { lookup });
    const answer = await post('/v1/sessions/lookup', { session: id });
    assert.equal((answer.json as { key: string }).key, key);
  });

  test('finds a session by what stands in its cookie', async (t) => {
    const pool = testPool({ 'app-1': {} }, { session: { cookie: 'connect.sid', format: 'express' } });
    const { key, lookup } = look(pool, 'abc');
    const { post } = await adminApiScene(t, { lookup, pools: [pool] });
    const answer = await post('/v1/sessions/lookup', { session: 's%3Aabc.c2lnbmF0dXJl' });
    assert.equal((answer.json as { key: string }).key, key);
  });

  test('looks in every pool, or only in the one that is named', async (t) => {
    const shop = testPool({ web: {} }, { name: 'shop' });
    const forum = testPool({ web: {} }, { name: 'forum' });
    const { lookup } = look(forum, 'the-session');
    const { post } = await adminApiScene(t, { lookup, pools: [shop, forum] });
    const found = await post('/v1/sessions/lookup', { session: 'the-session' });
    assert.equal((found.json as { pool?: string }).pool, 'forum');
    const elsewhere = await post('/v1/sessions/lookup', { session: 'the-session', pool: 'shop' });
    assert.equal(elsewhere.status, 404);
    const nowhere = await post('/v1/sessions/lookup', { session: 'the-session', pool: 'blog' });
    assert.equal(nowhere.status, 400, 'a pool that is not there is a mistake, not an absent session');
  });

  test('is 404 when the session is known to be absent', async (t) => {
    const { post } = await adminApiScene(t);
    const answer = await post('/v1/sessions/lookup', { session: 'nobody' });
    assert.deepEqual([answer.status, errorOf(answer).code], [404, 'NOT_FOUND']);
  });

  test('is 503, not 404, when the store cannot tell', async (t) => {
    const { post } = await adminApiScene(t, {
      lookup: async () => {
        throw new StickshiftError('STORE_UNREACHABLE', 'connect ECONNREFUSED');
      },
    });
    const answer = await post('/v1/sessions/lookup', { session: 'somebody' });
    assert.deepEqual([answer.status, errorOf(answer).code], [503, 'STORE_UNREACHABLE']);
  });

  test('never writes the session ID into the log', async (t) => {
    const { post, ask, log } = await adminApiScene(t);
    await post('/v1/sessions/lookup', { session: 'secret-id' });
    await post('/v1/sessions/lookup', { session: 'secret-id', pool: 'secret-id' });
    await post('/v1/sessions/lookup', { 'secret-id': 1 });
    await ask('/v1/sessions/secret-id');
    assert.ok(log.lines.length > 0);
    assert.doesNotMatch(JSON.stringify(log.lines), /secret-id/);
  });
});
