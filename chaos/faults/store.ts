import { BACKENDS } from '../installation/layout.ts';
import type { Random } from '../random.ts';
import { type FaultKind, NO_EFFECTS } from './fault.ts';

/* What becomes of Redis itself. */

const STORE_AWAY = {
  ...NO_EFFECTS,
  touches: ['redis', 'replica→primary'],
  storeAwayFor: BACKENDS,
  concerns: BACKENDS,
};
const STORE_FORGETS = { ...STORE_AWAY, storeForgets: true };

const onRedis = (from: number, to: number) => (random: Random) => ({
  target: 'redis',
  durationMs: Math.round(random.logUniform(from, to)),
});

/** It dies and comes back with all that it had answered. */
export const redisRestart: FaultKind = {
  name: 'redis-restart',
  weight: 1.5,
  choose: onRedis(200, 5_000),
  effects: () => STORE_AWAY,
  async begin({ redis }) {
    const { primary } = redis;
    await redis.kill(primary);
    return () => redis.startServer(primary);
  },
};

/** It dies and comes back with nothing, and its replica becomes as empty. */
export const redisEmpty: FaultKind = {
  name: 'redis-empty',
  weight: 1.5,
  alone: true,
  choose: onRedis(200, 3_000),
  effects: () => STORE_FORGETS,
  async begin({ redis }) {
    const { primary } = redis;
    await redis.kill(primary);
    await redis.forgetEverything(primary);
    return () => redis.startServer(primary);
  },
};

/** The replica has everything when it becomes the primary. */
export const redisFailover: FaultKind = {
  name: 'redis-failover',
  weight: 1.5,
  choose: onRedis(100, 300),
  effects: () => STORE_AWAY,
  async begin({ redis }) {
    await redis.pauseWrites(2_000);
    await redis.untilReplicated();
    return () => redis.failOver();
  },
};

/** The replica has missed the last writes when it becomes the primary. */
export const redisFailoverTail: FaultKind = {
  name: 'redis-failover-tail',
  weight: 1.5,
  alone: true,
  choose: onRedis(500, 4_000),
  effects: () => STORE_FORGETS,
  async begin(installation) {
    const link = installation.link('replica→primary');
    await link.cut();
    return async () => {
      await installation.redis.failOver();
      await link.mend();
    };
  },
};

export const redisReadOnly: FaultKind = {
  name: 'redis-read-only',
  weight: 1,
  choose: onRedis(500, 6_000),
  effects: () => STORE_AWAY,
  async begin({ redis }) {
    await redis.setReadOnly(true);
    return () => redis.setReadOnly(false);
  },
};

/** Out of memory: it takes no snapshots. */
export const redisFull: FaultKind = {
  name: 'redis-full',
  weight: 1,
  choose: onRedis(500, 6_000),
  effects: () => STORE_AWAY,
  async begin({ redis }) {
    await redis.setMemoryLimit(1_048_576);
    return () => redis.setMemoryLimit(0);
  },
};
