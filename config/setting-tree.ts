import type * as z from 'zod';
import type { SettingPath } from './problems.ts';
import { configSchema } from './schema.ts';
import { type SettingFacts, settingFacts } from './setting-facts.ts';

/** The schema as people think of it: sections with settings in them, maps whose keys they choose, and lists of sections. */
export type Setting = Section | NamedEntries | SectionList | Choice | Value;

interface Described {
  readonly description: string | undefined;
  /** Must be written down: there is no default. */
  readonly required: boolean;
}

export interface Section extends Described {
  readonly kind: 'section';
  readonly entries: ReadonlyMap<string, Setting>;
}

/** A map from names of the user's choice, as `pools` is. */
export interface NamedEntries extends Described {
  readonly kind: 'named';
  readonly entry: Setting;
}

/** Sections that have an order instead of names, as `routes` has. */
export interface SectionList extends Described {
  readonly kind: 'sections';
  readonly entry: Section;
}

/** A section whose other keys depend on one of them. */
export interface Choice extends Described {
  readonly kind: 'choice';
  readonly discriminator: string;
  readonly options: ReadonlyMap<string, Section>;
}

export type ValueType =
  | 'text'
  | 'whole number'
  | 'true or false'
  | 'list'
  | 'duration'
  | 'size'
  | 'whole number or auto';

export interface Value extends Described {
  readonly kind: 'value';
  readonly type: ValueType;
  /** The only values allowed. */
  readonly oneOf: readonly string[] | undefined;
  /** As it would stand in the file; undefined when the setting may simply be missing. */
  readonly fallback: unknown;
  readonly secret: boolean;
}

/** A zod schema seen from inside; zod types it so loosely that the walk has to look for itself. */
interface SchemaDefinition {
  readonly type: string;
  readonly innerType?: z.core.$ZodType;
  readonly in?: z.core.$ZodType;
  readonly defaultValue?: unknown;
  readonly shape?: Readonly<Record<string, z.core.$ZodType>>;
  readonly valueType?: z.core.$ZodType;
  readonly element?: z.core.$ZodType;
  readonly discriminator?: string;
  readonly options?: readonly z.core.$ZodType[];
  readonly entries?: Readonly<Record<string, string>>;
  readonly values?: readonly unknown[];
}

/** The whole configuration. */
export function settingTree(): Section {
  const tree = toSetting(configSchema);
  if (tree.kind !== 'section') throw new TypeError('the configuration is not a section');
  return tree;
}

/** The setting at a path, if the schema has one there; a choice is searched in all of its options. */
export function settingAt(root: Setting, path: SettingPath): Setting | undefined {
  const [step, ...rest] = path;
  if (step === undefined) return root;
  const next = child(root, String(step));
  return next && settingAt(next, rest);
}

/** Keys that may stand in a section; empty for whatever is none, and where users choose the keys. */
export function keysOf(setting: Setting | undefined): string[] {
  if (setting?.kind === 'section') return [...setting.entries.keys()];
  if (setting?.kind === 'choice') return [...new Set([...setting.options.values()].flatMap(keysOf))];
  return [];
}

function child(setting: Setting, key: string): Setting | undefined {
  switch (setting.kind) {
    case 'section':
      return setting.entries.get(key);
    case 'named':
    case 'sections':
      return setting.entry;
    case 'choice':
      return [...setting.options.values()].map((option) => option.entries.get(key)).find(Boolean);
    case 'value':
      return undefined;
  }
}

/** Unwraps defaults, optionals and transforms, picking up what they say on the way in. */
function toSetting(schema: z.core.$ZodType): Setting {
  let description: string | undefined;
  let facts: SettingFacts = {};
  let fallback: unknown;
  let required = true;
  for (let layer: z.core.$ZodType = schema; ; ) {
    const definition = definitionOf(layer);
    description ??= (layer as z.ZodType).meta()?.description;
    facts = { ...settingFacts.get(layer as z.ZodType), ...facts };
    if (definition.type === 'default' || definition.type === 'prefault') fallback ??= definition.defaultValue;
    if (['default', 'prefault', 'optional'].includes(definition.type)) required = false;
    const inner = definition.innerType ?? definition.in;
    if (!inner) return core(definition, { description, required }, facts, fallback);
    layer = inner;
  }
}

function core(
  definition: SchemaDefinition,
  described: Described,
  facts: SettingFacts,
  fallback: unknown,
): Setting {
  const { shape, valueType, element, discriminator, options } = definition;
  if (shape) {
    const entries = Object.entries(shape).map(([key, value]) => [key, toSetting(value)] as const);
    return { kind: 'section', ...described, entries: new Map(entries) };
  }
  if (valueType) return { kind: 'named', ...described, entry: toSetting(valueType) };
  const entry = element && toSetting(element);
  if (entry?.kind === 'section') return { kind: 'sections', ...described, entry };
  if (discriminator && options) {
    const sections = options.map((option) => {
      const section = toSetting(option);
      const value = String(definitionOf(definitionOf(option).shape?.[discriminator]).values?.[0]);
      if (section.kind !== 'section') throw new TypeError('an option of a choice is not a section');
      return [value, section] as const;
    });
    return { kind: 'choice', ...described, discriminator, options: new Map(sections) };
  }
  const { entries, values } = definition;
  return {
    kind: 'value',
    ...described,
    type: facts.unit ?? typeOf(definition),
    oneOf: entries ? Object.values(entries) : values?.map(String),
    fallback,
    secret: facts.secret ?? false,
  };
}

function typeOf(definition: SchemaDefinition): ValueType {
  switch (definition.type) {
    case 'number':
      return 'whole number';
    case 'boolean':
      return 'true or false';
    case 'array':
      return 'list';
    default:
      return 'text';
  }
}

function definitionOf(schema: z.core.$ZodType | undefined): SchemaDefinition {
  return (schema?._zod.def ?? { type: 'never' }) as SchemaDefinition;
}
