import { after } from 'node:test';
import { localRedisRequirement } from '../services/redis.ts';
import { startRedisSentinel } from '../services/redis-sentinel.ts';
import { openRedisStore } from '../services/redis-store.ts';
import { snapshotStoreContract } from './snapshot-store.ts';

const requirement = localRedisRequirement();
const redis = requirement.skip ? undefined : await startRedisSentinel();
after(() => redis?.stop());

snapshotStoreContract('Redis Sentinel', requirement, () => openRedisStore(redis?.url ?? ''));
