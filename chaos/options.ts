import { parseArgs } from 'node:util';
import { CONTROLS, type ControlName } from './controls/controls.ts';
import { FAULT_KINDS } from './faults/kinds.ts';

export interface ChaosOptions {
  readonly seed: number;
  readonly minutes: number;
  readonly clients: number;
  /** Of each gateway. */
  readonly workers: number;
  readonly json: boolean;
  readonly control: ControlName;
  /** Which control's faults to use instead of a random schedule. */
  readonly drill: Exclude<ControlName, 'none'> | undefined;
  /** Names of the kinds of faults to choose from. */
  readonly faults: readonly string[];
  /** For both pools; undefined: Express serves and PHP refuses. */
  readonly onStoreDown: 'serve' | 'refuse' | undefined;
  readonly logLevel: string;
  readonly keep: boolean;
}

export const USAGE = `npm run chaos -- [options]

Runs two gateways, four backends with their agents and a Redis with a replica, breaks them, and holds what
clients saw to what docs/guarantees.md promises. Exit status: 0, 1 when a promise was broken, 2 when it could not run.

  --seed <number>          replays the faults of a run (default: a new one, printed first)
  --minutes <number>       how long faults go on (default: 2)
  --clients <number>       how many clients, each with a session at a time (default: 28)
  --workers <number>       threads of each gateway that serve clients (default: 1)
  --faults <list>          only these, separated by commas (default: all)
                           ${FAULT_KINDS.map(({ name }) => name)
                             .join(', ')
                             .replace(/(.{60,80}?,) /g, '$1\n                           ')}
  --on-store-down <what>   serve or refuse, for both pools (default: Express serves, PHP refuses)
  --control <name>         ${CONTROLS.join(', ')}: takes one safeguard away, with faults that
                           it is there for; the checker must then find losses (default: none)
  --drill <control>        the faults of that control with every safeguard in place
  --log-level <level>      of gateways and agents (default: info)
  --keep                   keep logs and history of a run that went well, too
  --json                   print the report as JSON
  --help
`;

/** @throws Error that says which option is wrong */
export function readOptions(args: readonly string[]): ChaosOptions | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: 'string' },
      minutes: { type: 'string' },
      clients: { type: 'string' },
      workers: { type: 'string' },
      faults: { type: 'string' },
      'on-store-down': { type: 'string' },
      control: { type: 'string' },
      drill: { type: 'string' },
      'log-level': { type: 'string' },
      keep: { type: 'boolean' },
      json: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) return 'help';
  const names = FAULT_KINDS.map(({ name }) => name);
  const faults = values.faults === undefined ? names : values.faults.split(',').map((name) => name.trim());
  const unknown = faults.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new Error(`--faults: no fault is called "${unknown}"`);
  const control = oneOf('--control', values.control, CONTROLS) ?? 'none';
  const drill = oneOf('--drill', values.drill, CONTROLS) ?? control;
  return {
    seed: number('--seed', values.seed, Math.floor(Math.random() * 2 ** 32), 0),
    minutes: number('--minutes', values.minutes, 2, 0.05),
    clients: number('--clients', values.clients, 28, 1),
    workers: number('--workers', values.workers, 1, 1),
    json: values.json ?? false,
    control,
    drill: drill === 'none' ? undefined : drill,
    faults,
    onStoreDown: oneOf('--on-store-down', values['on-store-down'], ['serve', 'refuse'] as const),
    logLevel: values['log-level'] ?? 'info',
    keep: values.keep ?? false,
  };
}

function number(option: string, text: string | undefined, otherwise: number, least: number): number {
  const value = text === undefined ? otherwise : Number(text);
  if (!Number.isFinite(value) || value < least) throw new Error(`${option}: expected a number from ${least}`);
  return value;
}

function oneOf<T extends string>(
  option: string,
  text: string | undefined,
  choices: readonly T[],
): T | undefined {
  if (text === undefined) return undefined;
  const choice = choices.find((one) => one === text);
  if (choice === undefined) throw new Error(`${option}: expected ${choices.join(' or ')}`);
  return choice;
}
