import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import {
  aCommit,
  anAnnouncement,
  aRecord,
  inHours,
  newKey,
} from '../contract/snapshot-store/sample-records.ts';
import { eventually } from '../services/eventually.ts';
import { localRedisRequirement } from '../services/redis.ts';
import { type LocalRedis, startLocalRedis } from '../services/redis-process.ts';
import { failure, open } from '../services/redis-store-under-test.ts';

describe('a Redis behind a password', { ...localRedisRequirement() }, () => {
  const password = 'correct:horse/battery@staple';
  let redis: LocalRedis;
  before(async () => {
    redis = await startLocalRedis({ args: ['--requirepass', password] });
  });
  after(() => redis.stop());

  const urlWith = (userInfo: string) => redis.url.replace('redis://', `redis://${userInfo}@`);

  test('lets in who knows it', async () => {
    const store = await open(urlWith(`default:${encodeURIComponent(password)}`));
    assert.equal(await store.lookup(newKey()), undefined);
  });

  test('needs no more of an ACL user than docs/store.md says', async () => {
    const guide = await readFile(join(import.meta.dirname, '../../docs/store.md'), 'utf8');
    const rules = />PASSWORD (~stickshift.+)/.exec(guide)?.[1]?.split(' ') ?? [];
    const admin = new Redis(redis.port, { password });
    await admin.acl('SETUSER', 'shop', 'on', '>word', ...rules);
    admin.disconnect();

    const lines: string[] = [];
    const logger = pino({ level: 'warn' }, { write: (line: string) => lines.push(line) });
    const store = await open(urlWith('shop:word'), { logger });
    const key = await aRecord(store);
    const told: string[] = [];
    const watching = store.watchTaken('app-1', {
      taken: (keys) => told.push(...keys),
      missed: () => undefined,
    });
    await eventually('the watch begins', () => watching.heardUntil > 0);
    assert.equal((await store.adopt(key, { owner: 'app-2', ifEpoch: 1 })).outcome, 'adopted');
    await eventually('the former owner knows', () => told.includes(key));
    await store.announce(anAnnouncement, 60_000);
    assert.deepEqual(await store.backends(), [anAnnouncement]);
    await store.withdraw(anAnnouncement);
    await store.setBackendState({ application: 'shop', backend: 'app-1', state: 'drain', deadlineMs: 1_000 });
    assert.equal((await store.backendStates('shop')).length, 1);
    await store.prolongSettling(1);
    const { owner: _, ...changed } = aCommit();
    const change = { owner: 'app-2', epoch: 2, until: inHours(1), successor: newKey(), commit: changed };
    assert.deepEqual(await store.replace(key, change), { outcome: 'replaced' });
    // There is no replica, but asking is allowed.
    const replicated = await failure(store.commit(newKey(), aCommit({ replicas: 1 })));
    assert.equal(replicated.code, 'STORE_NOT_REPLICATED');
    assert.equal((await store.check()).length, 1);
    assert.deepEqual(lines, []);
  });

  test('refuses others, whose password is in no message and no log', async () => {
    const lines: string[] = [];
    const logger = pino({ level: 'trace' }, { write: (line: string) => lines.push(line) });
    const store = await open(urlWith(':opensesame'), { logger });
    const error = await failure(store.lookup(newKey()));
    assert.equal(error.code, 'STORE_REFUSED');
    assert.match(error.message, /WRONGPASS/);
    logger.error({ err: error }, 'as a caller would log it');
    assert.ok(lines.length > 1);
    assert.doesNotMatch(error.message + lines.join(''), /opensesame/);
  });

  test('refuses those without one', async () => {
    const error = await failure((await open(redis.url)).lookup(newKey()));
    assert.equal(error.code, 'STORE_REFUSED');
    assert.match(error.message, /NOAUTH/);
  });
});
