import { after } from 'node:test';
import { localRedisRequirement } from '../services/redis.ts';
import { startRedisCluster } from '../services/redis-cluster.ts';
import { openRedisStore } from '../services/redis-store.ts';
import { snapshotStoreContract } from './snapshot-store.ts';

const requirement = localRedisRequirement();
const redis = requirement.skip ? undefined : await startRedisCluster();
after(() => redis?.stop());

snapshotStoreContract('Redis Cluster', requirement, () => openRedisStore(redis?.url ?? ''));
