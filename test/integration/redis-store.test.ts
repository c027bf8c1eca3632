import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { StickshiftError } from '../../protocol/errors.ts';
import { forSubscription, newClient } from '../../store/redis/new-client.ts';
import { parseRedisUrl } from '../../store/redis/redis-url.ts';
import { TakenSubscription } from '../../store/redis/taken-subscription.ts';
import type { SnapshotStore } from '../../store/snapshot-store.ts';
import { aCommit, aRecord, inAnHour, inHours, newKey } from '../contract/snapshot-store/sample-records.ts';
import { eventually } from '../services/eventually.ts';
import { localRedisRequirement } from '../services/redis.ts';
import { startRedisImpostor } from '../services/redis-impostor.ts';
import { type LocalRedis, startLocalRedis } from '../services/redis-process.ts';
import { administer } from '../services/redis-replica.ts';
import { openRedisStore } from '../services/redis-store.ts';

/** Short, where the test waits for it; a healthy local server needs less than a thousandth. */
const SHORT = { commandTimeout: 500 };

const anAnnouncement = {
  id: 'app-1',
  application: 'shop',
  url: 'http://127.0.0.1:3001',
  agent: 'http://127.0.0.1:9091',
  incarnation: 'a',
  ready: true,
  sessions: 0,
};

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function open(url: string, options = {}) {
  const { store, close } = await openRedisStore(url, options);
  cleanups.push(close);
  return store;
}

async function failure(operation: Promise<unknown>): Promise<StickshiftError> {
  try {
    await operation;
  } catch (error) {
    assert.ok(error instanceof StickshiftError, String(error));
    // ioredis hangs arguments on its errors: snapshots and passwords.
    assert.equal(error.cause, undefined);
    return error;
  }
  throw new Error('the operation succeeded');
}

/** Resolves when the store works again. */
async function works(store: SnapshotStore): Promise<void> {
  await eventually('the store works again', () =>
    store.commit(newKey(), aCommit()).then(
      ({ outcome }) => outcome === 'committed',
      () => false,
    ),
  );
}

describe('a Redis that cannot be reached', () => {
  test('rejects every operation as unreachable, at once and safe to send again', async () => {
    const store = await open(`redis://127.0.0.1:${await closedPort()}`);
    const me = { owner: 'app-1', epoch: 1 };
    const operations = [
      () => store.lookup(newKey()),
      () => store.read(newKey()),
      () => store.commit(newKey(), aCommit()),
      () => store.touch(newKey(), { ...me, deadlines: inAnHour() }),
      () => store.release(newKey(), me),
      () => store.adopt(newKey(), { owner: 'app-1', ifEpoch: 1 }),
      () => store.end(newKey(), { ...me, until: inHours(1) }),
      () => store.commit(newKey(), aCommit({ replicas: 1 })),
      () => store.prolongSettling(1_000),
      () => store.withdraw(anAnnouncement),
      () => store.backendStates('shop'),
      () => store.backends(),
      () => store.check(),
    ];
    for (const operation of operations) {
      const error = await failure(operation());
      assert.equal(error.code, 'STORE_UNREACHABLE');
      assert.equal(error.retrySafe, true);
      assert.match(error.message, /ECONNREFUSED/);
    }
  });

  test('is used as soon as it starts', { ...localRedisRequirement() }, async () => {
    const redis = await startLocalRedis();
    cleanups.push(redis.stop);
    await redis.kill();
    const store = await open(redis.url);
    assert.equal((await failure(store.lookup(newKey()))).code, 'STORE_UNREACHABLE');
    await redis.restart();
    await works(store);
  });

  test('says so of a closed store', async () => {
    const { store, close } = await openRedisStore(`redis://127.0.0.1:${await closedPort()}`);
    await close();
    assert.equal((await failure(store.lookup(newKey()))).code, 'STORE_UNREACHABLE');
  });
});

describe('a Redis that fails', { ...localRedisRequirement() }, () => {
  test('and is killed with an operation under way leaves its outcome unknown, then works again', async () => {
    const redis = await startLocalRedis();
    cleanups.push(redis.stop);
    const store = await open(redis.url);
    await store.check();
    redis.stall();
    const underWay = failure(store.commit(newKey(), aCommit()));
    // The command is written in the next turn of the event loop; then the server dies without having answered.
    setTimeout(() => void redis.kill(), 100);
    const error = await underWay;
    assert.equal(error.code, 'STORE_TIMEOUT');
    assert.equal(error.retrySafe, false);
    await redis.restart();
    await works(store);
  });

  test('stalls: every operation times out or is unreachable, none waits, and it works again', async () => {
    const redis = await startLocalRedis();
    cleanups.push(redis.stop);
    const store = await open(redis.url, SHORT);
    await store.check();
    redis.stall();
    assert.equal((await failure(store.lookup(newKey()))).code, 'STORE_TIMEOUT');
    // A server that stays silent is given up; then nothing is written to it any more.
    await eventually('the connection is given up', async () => {
      const { code } = await failure(store.commit(newKey(), aCommit()));
      assert.ok(code === 'STORE_TIMEOUT' || code === 'STORE_UNREACHABLE', code);
      return code === 'STORE_UNREACHABLE';
    });
    redis.resume();
    await works(store);
  });

  test('answers all of many operations in a stall within the time of one', async () => {
    const redis = await startLocalRedis();
    cleanups.push(redis.stop);
    const store = await open(redis.url, SHORT);
    await store.check();
    redis.stall();
    // Those sent later wait for the pipeline of the first; their timeout still counts from when they were asked for.
    const early = failure(store.lookup(newKey()));
    await new Promise((resolve) => setImmediate(resolve));
    const late = Promise.all(Array.from({ length: 50 }, () => failure(store.lookup(newKey()))));
    assert.equal((await early).code, 'STORE_TIMEOUT');
    const asMuchLater = failure(store.lookup(newKey()));
    const first = await Promise.race([late, asMuchLater.then(() => 'those sent later')]);
    assert.ok(Array.isArray(first));
    for (const error of first) assert.equal(error.code, 'STORE_TIMEOUT');
    await asMuchLater;
    redis.resume();
  });

  test('loses its scripts with its memory and gets them again', async () => {
    const redis = await startLocalRedis();
    cleanups.push(redis.stop);
    const store = await open(redis.url);
    const key = await aRecord(store);
    const admin = new Redis(redis.url);
    await admin.script('FLUSH');
    admin.disconnect();
    assert.equal((await store.lookup(key))?.seq, 1);
  });
});

describe('a Redis that refuses', { ...localRedisRequirement() }, () => {
  let redis: LocalRedis;
  let admin: Redis;
  before(async () => {
    redis = await startLocalRedis();
    admin = new Redis(redis.url);
  });
  after(async () => {
    admin.disconnect();
    await redis.stop();
  });

  test('because it is full takes no snapshot, but still lets sessions move, end and be read', async () => {
    const store = await open(redis.url);
    const [moved, touched, released, ended] = [
      await aRecord(store),
      await aRecord(store),
      await aRecord(store),
      await aRecord(store),
    ];
    await admin.config('SET', 'maxmemory', '1');
    try {
      const error = await failure(store.commit(newKey(), aCommit()));
      assert.equal(error.code, 'STORE_REFUSED');
      assert.match(error.message, /OOM/);
      const me = { owner: 'app-1', epoch: 1 };
      assert.equal((await store.read(moved))?.seq, 1);
      assert.equal((await store.adopt(moved, { owner: 'app-2', ifEpoch: 1 })).outcome, 'adopted');
      assert.equal((await store.touch(touched, { ...me, deadlines: inAnHour() })).outcome, 'touched');
      assert.equal((await store.release(released, me)).outcome, 'released');
      assert.equal((await store.end(ended, { ...me, until: inHours(1) })).outcome, 'ended');
    } finally {
      await admin.config('SET', 'maxmemory', '0');
    }
    await works(store);
  });

  test('because it became a replica is left for the primary', async () => {
    const store = await open(redis.url);
    await store.check();
    await admin.replicaof('127.0.0.1', '1');
    const error = await failure(store.commit(newKey(), aCommit()));
    assert.equal(error.code, 'STORE_REFUSED');
    assert.match(error.message, /READONLY/);
    await admin.replicaof('NO', 'ONE');
    await works(store);
  });

  test('because the key holds something else changes nothing', async () => {
    const store = await open(redis.url);
    const [text, hash] = [newKey(), newKey()];
    await admin.set(`stickshift:{${text}}`, 'not ours');
    assert.equal((await failure(store.commit(text, aCommit()))).code, 'STORE_REFUSED');
    assert.equal((await failure(store.lookup(text))).code, 'STORE_REFUSED');
    assert.equal(await admin.get(`stickshift:{${text}}`), 'not ours');

    await admin.hset(`stickshift:{${hash}}`, { s: 'active', o: 'app-1', e: 'three' });
    assert.equal((await failure(store.commit(hash, aCommit()))).code, 'STORE_INVALID');
    assert.equal((await failure(store.adopt(hash, { owner: 'app-1', ifEpoch: 3 }))).code, 'STORE_INVALID');
  });

  test('an expired record that Redis has not removed yet is absent all the same', async () => {
    const store = await open(redis.url);
    const key = await aRecord(store, { epoch: 7, seq: 7 });
    await admin.hset(`stickshift:{${key}}`, 'i', Date.now() - 1);
    await admin.persist(`stickshift:{${key}}`);
    assert.equal(await store.lookup(key), undefined);
    assert.deepEqual(await store.adopt(key, { owner: 'app-2', ifEpoch: 7 }), { outcome: 'absent' });
    assert.deepEqual(await store.commit(key, aCommit()), { outcome: 'committed' });
    assert.equal((await store.lookup(key))?.epoch, 1);
  });

  test('a record is removed by Redis itself at its earlier deadline', async () => {
    const store = await open(redis.url);
    const deadlines = { idleAt: inHours(3), absoluteAt: inHours(2) };
    const key = await aRecord(store, { deadlines });
    assert.equal(await admin.pexpiretime(`stickshift:{${key}}`), deadlines.absoluteAt);
    for (const [idleAt, expected] of [
      [inHours(4), deadlines.absoluteAt],
      [deadlines.idleAt - 7_200_000, deadlines.idleAt - 7_200_000],
    ] as const) {
      await store.touch(key, { owner: 'app-1', epoch: 1, deadlines: { ...deadlines, idleAt } });
      assert.equal(await admin.pexpiretime(`stickshift:{${key}}`), expected);
    }
    const until = inHours(9);
    await store.end(key, { owner: 'app-1', epoch: 1, until });
    assert.equal(await admin.pexpiretime(`stickshift:{${key}}`), until);
  });

  test('a malformed announcement is skipped', async () => {
    const store = await open(redis.url);
    await admin.zadd('stickshift:backends', Date.now() + 60_000, 'shop/broken');
    await admin.set('stickshift:backend:shop/broken', '{"id":');
    await store.announce(anAnnouncement, 60_000);
    assert.deepEqual(await store.backends(), [anAnnouncement]);
  });
});

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
    const store = await open(urlWith('shop:word'), { logger, ...SHORT });
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

describe('a server that answers nonsense', () => {
  const nonsense: Record<string, string> = {
    'no Redis protocol': 'HTTP/1.1 400 Bad Request\r\n\r\n',
    'a number': ':42\r\n',
    nothing: '$-1\r\n',
    'an empty list': '*0\r\n',
    'an unknown outcome': '*1\r\n$5\r\nmaybe\r\n',
    'an outcome of another operation': '*1\r\n$9\r\ncommitted\r\n',
    'an inherited property as the outcome': '*1\r\n$8\r\ntoString\r\n',
    'a record that ends early': '*3\r\n$5\r\nfound\r\n$6\r\nactive\r\n$5\r\napp-1\r\n',
    'a list that is too long for the bytes': '*100000\r\n$1\r\n',
  };
  for (const [what, answer] of Object.entries(nonsense)) {
    test(`such as ${what} causes a typed error and no harm`, async () => {
      const impostor = await startRedisImpostor(answer);
      cleanups.push(impostor.stop);
      const store = await open(impostor.url, SHORT);
      const { code } = await failure(store.lookup(newKey()));
      // An answer that never ends is one that never came.
      assert.equal(code, what.startsWith('a list that is too long') ? 'STORE_TIMEOUT' : 'STORE_INVALID');

      impostor.answer = '*1\r\n$6\r\nabsent\r\n';
      await eventually('the store works again', async () => {
        const found = await store.lookup(newKey()).catch((error: StickshiftError) => error.code);
        return found === undefined;
      });
    });
  }

  test('from the first byte is not connected to', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => socket.destroy());
      socket.end('SSH-2.0-OpenSSH_9.2p1\r\n');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanups.push(async () => {
      server.close();
    });
    const address = server.address();
    assert.ok(address !== null && typeof address === 'object');
    const store = await open(`redis://127.0.0.1:${address.port}`, SHORT);
    assert.equal((await failure(store.lookup(newKey()))).code, 'STORE_UNREACHABLE');
  });
});

describe('a watch of taken sessions', { ...localRedisRequirement() }, () => {
  function watch(store: SnapshotStore) {
    const heard = { keys: [] as string[], missed: 0 };
    const watching = store.watchTaken('app-1', {
      taken: (keys) => heard.keys.push(...keys),
      missed: () => heard.missed++,
    });
    cleanups.push(async () => watching.stop());
    return { heard, watching };
  }

  test('stands still while Redis is away, and says afterwards that it missed something', async () => {
    const redis = await startLocalRedis({ args: ['--appendonly', 'yes'] });
    cleanups.push(redis.stop);
    const store = await open(redis.url);
    const key = await aRecord(store);
    const { heard, watching } = watch(store);
    await eventually('it begins', () => heard.missed === 1 && watching.heardUntil > 0);
    await redis.kill();
    const killed = performance.now();
    await eventually('Redis is known to be away', async () => {
      return (await store.lookup(key).catch(() => 'away')) === 'away';
    });
    assert.ok(watching.heardUntil <= killed);
    await redis.restart();
    await eventually('it has begun again', () => heard.missed === 2 && watching.heardUntil > killed);
    await store.adopt(key, { owner: 'app-2', ifEpoch: 1 });
    await eventually('the key is told', () => heard.keys.length > 0);
    assert.deepEqual(heard.keys, [key]);
  });

  test('that a stalled Redis does not answer stands still as well', async () => {
    const redis = await startLocalRedis();
    cleanups.push(redis.stop);
    const { heard, watching } = watch(await open(redis.url, SHORT));
    await eventually('it begins', () => watching.heardUntil > 0);
    redis.stall();
    const stalled = performance.now();
    const other = watch(await open(redis.url, SHORT));
    // As long as it takes to give up a connection.
    await eventually('the connection is given up', async () => {
      const store = await open(redis.url, SHORT);
      return (await failure(store.lookup(newKey()))).code === 'STORE_UNREACHABLE';
    });
    assert.ok(watching.heardUntil <= stalled);
    assert.deepEqual([other.heard.missed, other.watching.heardUntil], [0, 0]);
    redis.resume();
    await eventually('both are up to date', () => {
      return [watching, other.watching].every(({ heardUntil }) => heardUntil > stalled);
    });
    assert.ok(heard.missed >= 1);
  });
});

describe('a subscription to what is taken', { ...localRedisRequirement() }, () => {
  test('counts only as long as it is to the server that operations go to', async () => {
    const redis = await startLocalRedis();
    cleanups.push(redis.stop);
    const client = newClient(parseRedisUrl(redis.url), 1_000, forSubscription);
    assert.ok(client instanceof Redis);
    let begun = 0;
    let identities: readonly string[] | undefined;
    const watcher = { taken: () => undefined, missed: () => begun++ };
    const logger = pino({ level: 'silent' });
    const options = { owner: 'app-1', watcher, identities: () => identities, logger };
    const subscription = new TakenSubscription(client, 0, options);
    cleanups.push(async () => subscription.stop());
    await eventually('it begins', () => begun === 1);
    identities = ['the run ID of another:0:-1'];
    await eventually('it looks for the other', () => begun === 3);
    assert.equal(subscription.heardUntil, 0);
    const [, runId] = /run_id:(\w+)/.exec(await administer(redis, (admin) => admin.info())) ?? [];
    identities = ['the run ID of another:0:-1', `${runId}:0:-1`];
    await eventually('it has found it', () => subscription.heardUntil > 0);
  });
});

describe('check', { ...localRedisRequirement() }, () => {
  const codes = async (args: readonly string[]) => {
    const redis = await startLocalRedis({ args });
    cleanups.push(redis.stop);
    return (await (await open(redis.url)).check()).map((warning) => warning.code);
  };

  test('warns of a server that keeps nothing on disk', async () => {
    assert.deepEqual(await codes([]), ['no-persistence']);
  });

  test('is content with append-only files or with saves', async () => {
    assert.deepEqual(await codes(['--appendonly', 'yes']), []);
    assert.deepEqual(await codes(['--save', '60 1']), []);
  });

  test('warns of a policy that evicts', async () => {
    const args = ['--appendonly', 'yes', '--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru'];
    assert.deepEqual(await codes(args), ['eviction']);
  });

  test('warns of a server that is nearly full', async () => {
    const args = ['--appendonly', 'yes', '--maxmemory', '1kb', '--maxmemory-policy', 'noeviction'];
    assert.deepEqual(await codes(args), ['nearly-full']);
  });

  test('does without CONFIG where it is forbidden', async () => {
    assert.deepEqual(await codes(['--rename-command', 'CONFIG', '""']), []);
  });
});

/** A port on which nothing listens. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return address.port;
}
