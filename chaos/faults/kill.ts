import type { Installation } from '../installation/installation.ts';
import { agentOf, BACKENDS, type BackendName, GATEWAYS, poolOf } from '../installation/layout.ts';
import type { Random } from '../random.ts';
import { type Effects, type FaultKind, type FaultPlan, NO_EFFECTS } from './fault.ts';

/* SIGKILL, and a new start after a while. */

const downTime = (random: Random) => Math.round(random.logUniform(300, 8_000));

/** Backend that a process belongs to. */
export function backendOf(target: string): BackendName | undefined {
  return BACKENDS.find((backend) => target === backend || target === agentOf(backend));
}

/** What it means that some processes of a backend do not answer. */
export function effectsOnBackend(backend: BackendName, processes: readonly string[]): Effects {
  return { ...NO_EFFECTS, touches: processes, maySeemLost: [backend], concerns: [backend] };
}

async function killAndRestart(installation: Installation, processes: readonly string[]) {
  await Promise.all(processes.map((name) => installation.kill(name)));
  return async () => {
    await Promise.all(processes.map((name) => installation.restart(name)));
  };
}

function killOne(name: string, weight: number, targets: readonly string[]): FaultKind {
  return {
    name,
    weight,
    choose: (random) => ({ target: random.pick(targets) ?? '', durationMs: downTime(random) }),
    effects: ({ target }) => {
      const backend = backendOf(target);
      return backend
        ? effectsOnBackend(backend, [target])
        : { ...NO_EFFECTS, touches: [target], concerns: BACKENDS };
    },
    begin: (installation, { target }) => killAndRestart(installation, [target]),
  };
}

export const killApp = killOne('kill-app', 3, BACKENDS);
export const killAgent = killOne('kill-agent', 3, BACKENDS.map(agentOf));
export const killGateway = killOne('kill-gateway', 2, GATEWAYS);

/** App and agent die together. PHP's session files may or may not outlive the machine; other apps have none. */
export const killNode: FaultKind = {
  name: 'kill-node',
  weight: 4,
  choose(random) {
    const target = random.pick(BACKENDS);
    const isEmptied = random.chance(0.5) && poolOf(target) === 'php';
    return { target, durationMs: downTime(random), ...(isEmptied && { variant: 'directory emptied' }) };
  },
  effects: ({ target }) => effectsOnBackend(target as BackendName, nodeProcesses(target)),
  async begin(installation, { target, variant }) {
    const undo = await killAndRestart(installation, nodeProcesses(target));
    if (variant !== undefined) await installation.emptySessionDirectory(target as BackendName);
    return undo;
  },
};

export function nodeProcesses(backend: FaultPlan['target']): string[] {
  return [backend, agentOf(backend as BackendName)];
}
