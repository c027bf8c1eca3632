import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Logger, pino } from 'pino';
import { configSchema, type StoreConfig } from '../config/schema.ts';
import { openStore as open } from './open-store.ts';
import { RedisSnapshotStore } from './redis/redis-snapshot-store.ts';
import { SqliteSnapshotStore } from './sqlite/sqlite-snapshot-store.ts';

const openStore = (config: StoreConfig, logger: Logger) => open(config, { installation: 'test', logger });
const storeConfig = (url: string) => configSchema.parse({ secret: 's'.repeat(32), store: { url } }).store;

test('an sqlite: URL opens a file', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'stickshift-store-'));
  const store = await openStore(storeConfig(`sqlite:${directory}/a.sqlite`), pino({ level: 'silent' }));
  assert.ok(store instanceof SqliteSnapshotStore);
  await store.close();
  await rm(directory, { recursive: true });
});

test('a Redis that cannot be reached is logged once, without its password, and is no error', async () => {
  const lines: string[] = [];
  const logger = pino({ level: 'info' }, { write: (line: string) => lines.push(line) });
  // Port 1 is reserved; nothing listens on it.
  const store = await openStore(storeConfig('redis://:opensesame@127.0.0.1:1'), logger);
  assert.ok(store instanceof RedisSnapshotStore);
  await assert.rejects(store.check(), { code: 'STORE_UNREACHABLE' });
  await store.close();
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? '', /store not connected; trying again/);
  assert.match(lines[0] ?? '', /redis:\/\/127\.0\.0\.1:1/);
  assert.doesNotMatch(lines[0] ?? '', /opensesame/);
});

test('a URL that cannot be read is an error of the configuration', async () => {
  const config = storeConfig('redis://db:70000');
  await assert.rejects(openStore(config, pino({ level: 'silent' })), { code: 'CONFIG_INVALID' });
});
