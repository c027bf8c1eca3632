import { after } from 'node:test';
import { redisRequirement, startRedis } from '../services/redis.ts';
import { openRedisStore } from '../services/redis-store.ts';
import { snapshotStoreContract } from './snapshot-store.ts';

const redis = await startRedis({ database: 1 });
after(() => redis?.stop());

snapshotStoreContract('Redis', redisRequirement(redis), () => openRedisStore(redis?.url ?? ''));
