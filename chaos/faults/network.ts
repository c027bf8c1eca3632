import type { Installation } from '../installation/installation.ts';
import { agentOf, BACKENDS, GATEWAYS, LINKS, type LinkName } from '../installation/layout.ts';
import type { Direction, Trouble } from '../network/link.ts';
import type { Random } from '../random.ts';
import { type Effects, type FaultKind, NO_EFFECTS, type Undo } from './fault.ts';

/* The network between two processes, or between a gateway and a whole node. */

const NODE = ' with its agent';

/** `gateway-1→express-1 with its agent`: all between a gateway and a node. */
const PARTITIONS = GATEWAYS.flatMap((gateway) => BACKENDS.map((backend) => `${gateway}→${backend}${NODE}`));

const time = (random: Random) => Math.round(random.logUniform(500, 12_000));

const chooseTarget = (random: Random) =>
  (random.chance(0.3) ? random.pick(PARTITIONS) : random.pick(LINKS)) ?? '';

function linksOf(target: string): LinkName[] {
  if (!target.endsWith(NODE)) return [target as LinkName];
  const toApp = target.slice(0, -NODE.length);
  return [toApp, `${toApp}-agent`] as LinkName[];
}

function effects(target: string): Effects {
  const links = linksOf(target);
  const [near = '', far = ''] = (links[0] ?? '').split('→');
  const isStoreLink = far === 'redis';
  const agent = BACKENDS.find((backend) => agentOf(backend) === near);
  const reached = BACKENDS.find((backend) => far === backend || far === agentOf(backend));
  return {
    ...NO_EFFECTS,
    touches: links,
    ...(isStoreLink && agent && { storeAwayFor: [agent], concerns: [agent] }),
    ...(isStoreLink && !agent && { concerns: BACKENDS }),
    ...(reached && { maySeemLost: [reached], concerns: [reached] }),
  };
}

/** Connections are reset, new ones refused. */
export const linkCut: FaultKind = {
  name: 'link-cut',
  weight: 4,
  choose: (random) => ({ target: chooseTarget(random), durationMs: time(random) }),
  effects: ({ target }) => effects(target),
  async begin(installation, { target }) {
    const links = linksOf(target).map((name) => installation.link(name));
    await Promise.all(links.map((link) => link.cut()));
    return async () => {
      await Promise.all(links.map((link) => link.mend()));
    };
  },
};

function trouble(
  installation: Installation,
  target: string,
  direction: Direction | 'both',
  what: Trouble,
): Undo {
  const links = linksOf(target).map((name) => installation.link(name));
  for (const link of links) link.setTrouble(direction, what);
  return async () => {
    for (const link of links) link.setTrouble('both', 'none');
  };
}

/** Bytes vanish, in one direction or both; as with TCP, they come in the end. */
export const linkBlackHole: FaultKind = {
  name: 'link-black-hole',
  weight: 4,
  choose: (random) => ({
    target: chooseTarget(random),
    durationMs: time(random),
    variant: random.pick(['both', 'forward', 'backward'] as const),
  }),
  effects: ({ target }) => effects(target),
  begin: async (installation, { target, variant }) =>
    trouble(installation, target, variant as Direction | 'both', 'black-hole'),
};

export const linkDelay: FaultKind = {
  name: 'link-delay',
  weight: 3,
  choose: (random) => ({
    target: chooseTarget(random),
    durationMs: time(random),
    variant: `${random.pick(['both', 'forward', 'backward'] as const)} ${Math.round(random.logUniform(5, 400))} ms`,
  }),
  effects: ({ target }) => effects(target),
  async begin(installation, { target, variant = '' }) {
    const [direction = 'both', delay = '0'] = variant.split(' ');
    return trouble(installation, target, direction as Direction | 'both', { delayMs: Number(delay) });
  },
};
