import type { Installation } from '../installation/installation.ts';
import { agentOf, BACKENDS, type BackendName, GATEWAYS } from '../installation/layout.ts';
import type { Random } from '../random.ts';
import { type FaultKind, NO_EFFECTS, type Undo } from './fault.ts';
import { backendOf, effectsOnBackend, nodeProcesses } from './kill.ts';

/* SIGSTOP, and SIGCONT after a while: connections stay open, nothing answers, and then everything goes on as if nothing had been. */

const pauseTime = (random: Random) => Math.round(random.logUniform(1_000, 30_000));

function pauseAll(installation: Installation, processes: readonly string[]): Undo {
  for (const name of processes) installation.signal(name, 'SIGSTOP');
  return async () => {
    for (const name of processes) installation.signal(name, 'SIGCONT');
  };
}

function pauseOne(name: string, weight: number, targets: readonly string[]): FaultKind {
  return {
    name,
    weight,
    choose: (random) => ({ target: random.pick(targets) ?? '', durationMs: pauseTime(random) }),
    effects: ({ target }) => {
      const backend = backendOf(target);
      return backend
        ? effectsOnBackend(backend, [target])
        : { ...NO_EFFECTS, touches: [target], concerns: BACKENDS };
    },
    begin: async (installation, { target }) => pauseAll(installation, [target]),
  };
}

export const pauseApp = pauseOne('pause-app', 2, BACKENDS);
export const pauseAgent = pauseOne('pause-agent', 2, BACKENDS.map(agentOf));
export const pauseGateway = pauseOne('pause-gateway', 2, GATEWAYS);

export const pauseNode: FaultKind = {
  name: 'pause-node',
  weight: 3,
  choose: (random) => ({ target: random.pick(BACKENDS), durationMs: pauseTime(random) }),
  effects: ({ target }) => effectsOnBackend(target as BackendName, nodeProcesses(target)),
  begin: async (installation, { target }) => pauseAll(installation, nodeProcesses(target)),
};

/** The primary; its replica goes on. */
export const pauseRedis: FaultKind = {
  name: 'pause-redis',
  weight: 1.5,
  choose: (random) => ({ target: 'redis', durationMs: Math.round(random.logUniform(1_000, 12_000)) }),
  effects: () => ({ ...NO_EFFECTS, touches: ['redis'], storeAwayFor: BACKENDS, concerns: BACKENDS }),
  begin: async (installation) => pauseAll(installation, [installation.redis.primary]),
};
