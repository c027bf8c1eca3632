import { readFileSync } from 'node:fs';
import { closest } from './closest.ts';
import { keyOf, type Origin, type Problem, type SettingPath } from './problems.ts';
import type { Section, Setting, Value } from './setting-tree.ts';

const PREFIX = 'STICKSHIFT_';
const FILE_SUFFIX = '_FILE';

/** Short names for the two settings that everybody sets. `STICKSHIFT_SECRET` is one by the rule already. */
const ALIASES: Readonly<Record<string, SettingPath>> = { STICKSHIFT_STORE: ['store', 'url'] };

/** Variables that are no settings: other parts of Stickshift read them. */
const NOT_SETTINGS: ReadonlySet<string> = new Set([
  'STICKSHIFT_CONFIG',
  'STICKSHIFT_LOG_LEVEL',
  'STICKSHIFT_AGENT',
  'STICKSHIFT_ADMIN_URL',
  'STICKSHIFT_ADMIN_TOKEN',
]);
const NOT_SETTINGS_EITHER = [
  /^STICKSHIFT_(TEST|DEMO)_/,
  // What Kubernetes and old Docker links set in every container for a service whose name begins with "stickshift".
  /_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$/,
  /_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$/,
];

export interface EnvironmentOverlay {
  /** The file's values with the environment's laid over them. */
  readonly values: unknown;
  /** Variables that were used, by the key of the setting they set. */
  readonly origins: ReadonlyMap<string, Origin>;
  readonly problems: readonly Problem[];
}

/** `gateway.timeouts.firstByte` → `STICKSHIFT_GATEWAY_TIMEOUTS_FIRST_BYTE` */
export function variableName(path: SettingPath): string {
  const words = path.map((step) =>
    String(step)
      .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
      .replace(/[^A-Za-z0-9]+/g, '_')
      .toUpperCase(),
  );
  return PREFIX + words.join('_');
}

/**
 * Lays `STICKSHIFT_…` variables over the values of the file. A variable that is set to nothing counts as not set. Pools,
 * backends and agents must stand in the file: a variable can change one, never make one.
 */
export function overlayEnvironment(
  values: unknown,
  env: NodeJS.ProcessEnv,
  tree: Section,
): EnvironmentOverlay {
  const known = settableBy(values, tree);
  const result = structuredClone(values);
  const origins = new Map<string, Origin>();
  const problems: Problem[] = [];

  for (const [variable, text] of Object.entries(env)) {
    if (!variable.startsWith(PREFIX) || text === undefined || text === '' || isNoSetting(variable)) continue;
    const origin = { variable };
    const fail = (message: string, key = '') => problems.push({ origin, key, message });
    const [target, ...others] = known.get(variable) ?? [];
    if (!target) {
      fail(unknownVariable(variable, [...known.keys()]));
      continue;
    }
    const key = keyOf(target.path);
    if (others.length > 0) {
      const keys = [target, ...others].map(({ path }) => keyOf(path)).join(' and ');
      fail(`stands for ${keys}; set them in the file`);
    } else if (origins.has(key)) {
      fail(`is set by another variable too; leave one of them out`, key);
    } else {
      const content = target.fromFile ? readSecret(text, fail) : text;
      if (content === undefined) continue;
      put(result, target.path, fromText(content, target.setting));
      origins.set(key, origin);
    }
  }
  return { values: result, origins, problems };
}

interface Target {
  readonly path: SettingPath;
  readonly setting: Value;
  readonly fromFile: boolean;
}

/** Every variable that could set something in this configuration; more than one target means that it is ambiguous. */
function settableBy(values: unknown, tree: Section): Map<string, Target[]> {
  const known = new Map<string, Target[]>();
  const add = (variable: string, target: Target) => {
    const targets = known.get(variable) ?? [];
    // Options of a choice share settings.
    if (!targets.some(({ path }) => keyOf(path) === keyOf(target.path))) targets.push(target);
    known.set(variable, targets);
  };
  const addValue = (variable: string, path: SettingPath, setting: Value) => {
    add(variable, { path, setting, fromFile: false });
    if (setting.secret) add(variable + FILE_SUFFIX, { path, setting, fromFile: true });
  };
  walk(tree, values, [], (path, setting) => {
    addValue(variableName(path), path, setting);
    for (const [alias, aliased] of Object.entries(ALIASES)) {
      if (keyOf(aliased) === keyOf(path)) addValue(alias, path, setting);
    }
  });
  return known;
}

function walk(
  setting: Setting,
  value: unknown,
  path: SettingPath,
  visit: (path: SettingPath, setting: Value) => void,
): void {
  const inside = (key: string) => (isObject(value) ? value[key] : undefined);
  switch (setting.kind) {
    case 'value':
      visit(path, setting);
      return;
    case 'section':
      for (const [key, entry] of setting.entries) walk(entry, inside(key), [...path, key], visit);
      return;
    case 'sections':
      // Nothing names one of them.
      return;
    case 'choice':
      for (const option of setting.options.values()) walk(option, value, path, visit);
      return;
    case 'named':
      for (const name of isObject(value) ? Object.keys(value) : []) {
        walk(setting.entry, inside(name), [...path, name], visit);
      }
  }
}

function isNoSetting(variable: string): boolean {
  return NOT_SETTINGS.has(variable) || NOT_SETTINGS_EITHER.some((pattern) => pattern.test(variable));
}

function unknownVariable(variable: string, known: readonly string[]): string {
  const candidate = closest(variable, [...known, ...NOT_SETTINGS]);
  if (candidate) return `is no setting (did you mean ${candidate}?)`;
  return 'is no setting; a pool, backend or agent that it names must stand in the file';
}

function readSecret(file: string, fail: (message: string) => void): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    fail(`cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

/** What does not look like its type stays text; the schema then says what it expected. */
function fromText(text: string, setting: Value): unknown {
  switch (setting.type) {
    case 'whole number':
    case 'whole number or auto':
      return /^-?\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : text;
    case 'true or false':
      return { true: true, false: false }[text.trim().toLowerCase()] ?? text;
    case 'list':
      return text
        .split(/[,\n]/)
        .map((item) => item.trim())
        .filter((item) => item !== '');
    default:
      return text;
  }
}

/** Sections that the file does not have are made; where it has something that is no section, the schema will say so. */
function put(values: unknown, path: SettingPath, value: unknown): void {
  let section = values;
  for (const step of path.slice(0, -1)) {
    if (!isObject(section)) return;
    section[step] ??= {};
    section = section[step];
  }
  const last = path.at(-1);
  if (isObject(section) && last !== undefined) section[last] = value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
