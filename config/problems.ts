import { StickshiftError } from '../protocol/errors.ts';

/** Keys and list positions that lead from the top of the configuration to one setting. */
export type SettingPath = readonly (string | number)[];

/** Where a value was written. Lines and columns count from 1. */
export type Origin =
  | { readonly file: string; readonly line: number; readonly column: number }
  | { readonly variable: string };

/** One thing that is wrong with a configuration. */
export interface Problem {
  readonly origin: Origin;
  /** The setting, such as `pools.shop.balance`; empty when none is concerned. */
  readonly key: string;
  /** What was expected, and what was found unless that is secret. */
  readonly message: string;
}

/** `CONFIG_INVALID` with everything that is wrong at once: nobody likes to mend a file line by line. */
export class ConfigError extends StickshiftError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super('CONFIG_INVALID', problems.map(problemAsLine).join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** `stickshift.yaml:12:5  pools.shop.balance: expected …`, as editors and terminals make clickable. */
export function problemAsLine({ origin, key, message }: Problem): string {
  const place = 'variable' in origin ? origin.variable : `${origin.file}:${origin.line}:${origin.column}`;
  return key === '' ? `${place}  ${message}` : `${place}  ${key}: ${message}`;
}

export function keyOf(path: SettingPath): string {
  return path.join('.');
}
