import { readFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { StickshiftError } from '../protocol/errors.ts';
import { crossCheck } from './cross-checks.ts';
import { overlayEnvironment } from './environment.ts';
import { explainIssues } from './explain-issues.ts';
import { ConfigError, keyOf, type Origin, type Problem, type SettingPath } from './problems.ts';
import { type Config, configSchema } from './schema.ts';
import { type Setting, settingTree } from './setting-tree.ts';
import { readYaml } from './yaml-source.ts';

export const DEFAULT_CONFIG_FILE = 'stickshift.yaml';

export interface LoadedConfig {
  readonly config: Config;
  /** Absolute path of the file. */
  readonly file: string;
  /** Environment variables that set something, in no particular order. */
  readonly variables: readonly string[];
  /** Where a setting was written. */
  readonly locate: (path: SettingPath) => Origin;
}

/**
 * Reads the configuration file and what the environment says instead of it.
 *
 * @param options.path - default: `STICKSHIFT_CONFIG`, else `./stickshift.yaml`
 * @throws StickshiftError `CONFIG_INVALID` when there is no file; {@link ConfigError} with everything that is wrong with it
 */
export function loadConfig(options: { path?: string | undefined; env: NodeJS.ProcessEnv }): LoadedConfig {
  const file = resolve(configPath(options));
  return { file, ...parseConfig(readConfigFile(file), { file: displayed(file), env: options.env }) };
}

/** The file that {@link loadConfig} would read, as it was named. */
export function configPath(options: { path?: string | undefined; env: NodeJS.ProcessEnv }): string {
  return options.path ?? (options.env.STICKSHIFT_CONFIG || DEFAULT_CONFIG_FILE);
}

/**
 * @param where.file - name of the file for messages
 * @throws ConfigError
 */
export function parseConfig(
  text: string,
  where: { file: string; env: NodeJS.ProcessEnv },
): Omit<LoadedConfig, 'file'> {
  const tree = settingTree();
  const source = readYaml(text, where.file);
  const overlay = overlayEnvironment(withoutEmptySections(source.values, tree), where.env, tree);
  const locate = (path: SettingPath): Origin => originOf(path, overlay.origins) ?? source.locate(path);

  const parsed = configSchema.safeParse(overlay.values);
  if (!parsed.success) {
    const problems = explainIssues(parsed.error.issues, { values: overlay.values, tree, locate });
    throw new ConfigError(inOrder([...overlay.problems, ...problems]));
  }
  const contradictions = crossCheck(parsed.data).map(({ path, message }) => ({
    origin: locate(path),
    key: keyOf(path),
    message,
  }));
  const problems = [...overlay.problems, ...contradictions];
  if (problems.length > 0) throw new ConfigError(inOrder(problems));
  const variables = [...overlay.origins.values()].flatMap((origin) =>
    'variable' in origin ? [origin.variable] : [],
  );
  return { config: parsed.data, variables, locate };
}

function readConfigFile(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    const message = missing
      ? `there is no ${displayed(file)}; name the configuration file with --config or STICKSHIFT_CONFIG`
      : `cannot read ${displayed(file)}: ${error instanceof Error ? error.message : String(error)}`;
    throw new StickshiftError('CONFIG_INVALID', message, { cause: error });
  }
}

/** Short where the file lies below the working directory. */
function displayed(file: string): string {
  const path = relative(process.cwd(), file);
  return path === '' || path.startsWith('..') ? file : path;
}

/** A section of which every line is commented out is null in YAML, and simply not there for whoever wrote it. */
function withoutEmptySections(value: unknown, setting: Setting | undefined): unknown {
  if (value === null) return setting && setting.kind !== 'value' ? {} : value;
  if (typeof value !== 'object' || Array.isArray(value) || setting === undefined) return value;
  const inside = (key: string): Setting | undefined => {
    if (setting.kind === 'section') return setting.entries.get(key);
    return setting.kind === 'named' ? setting.entry : undefined;
  };
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [key, withoutEmptySections(entry, inside(key))]),
  );
}

/** The variable that set this, or the list around it. */
function originOf(path: SettingPath, origins: ReadonlyMap<string, Origin>): Origin | undefined {
  return origins.get(keyOf(path)) ?? (path.length > 1 ? origins.get(keyOf(path.slice(0, -1))) : undefined);
}

/** Variables first, then as the file is read. */
function inOrder(problems: readonly Problem[]): Problem[] {
  const rank = ({ origin }: Problem): [number, number] =>
    'variable' in origin ? [0, 0] : [origin.line, origin.column];
  return problems.toSorted((a, b) => {
    const [lineA, columnA] = rank(a);
    const [lineB, columnB] = rank(b);
    return lineA - lineB || columnA - columnB;
  });
}
