import type * as z from 'zod';
import { didYouMean } from './closest.ts';
import { keyOf, type Origin, type Problem, type SettingPath } from './problems.ts';
import { MOST_WORKERS } from './sections/gateway.ts';
import { keysOf, type Section, settingAt } from './setting-tree.ts';

type Issue = z.core.$ZodIssue;

const LONGEST_VALUE = 60;

export interface IssueContext {
  /** What was validated. */
  readonly values: unknown;
  readonly tree: Section;
  readonly locate: (path: SettingPath) => Origin;
}

/** Says in the words of whoever wrote the file what the schema has against it. */
export function explainIssues(issues: readonly Issue[], context: IssueContext): Problem[] {
  return issues.flatMap((issue) => explain(issue, context));
}

function explain(issue: Issue, context: IssueContext): Problem[] {
  const { tree, locate } = context;
  const path = issue.path.map((step) => (typeof step === 'number' ? step : String(step)));
  if (issue.code === 'unrecognized_keys') {
    const candidates = keysOf(settingAt(tree, path));
    return issue.keys.map((key) => ({
      origin: locate([...path, key]),
      key: keyOf([...path, key]),
      message: `unknown key${didYouMean(key, candidates)}`,
    }));
  }
  const value = valueAt(context.values, path);
  const problem = { origin: locate(path), key: keyOf(path) };
  if (issue.code === 'invalid_key') {
    return [{ ...problem, message: issue.issues.map(({ message }) => message).join('; ') }];
  }
  const setting = settingAt(tree, path);
  // What is custom, such as a limit, says itself what was expected.
  const hasUnit = setting?.kind === 'value' && issue.code !== 'custom';
  const unit = hasUnit ? UNIT_EXPECTATIONS[setting.type] : undefined;
  const expected = unit ?? expectation(issue);
  if (value === undefined) return [{ ...problem, message: `is missing; ${expected}` }];
  const found = isSecret(path, tree) || issue.code === 'custom' ? '' : `, got ${shown(value)}`;
  const isUnquoted = unit === undefined && issue.code === 'invalid_type' && issue.expected === 'string';
  // A secret of digits only is a number to YAML.
  const advice = isUnquoted && typeof value !== 'object' ? '; put it in quotes' : '';
  return [{ ...problem, message: `${expected}${found}${advice}` }];
}

function expectation(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `expected ${TYPE_NAMES[issue.expected] ?? issue.expected}`;
    case 'invalid_value':
      return `expected ${oneOf(issue.values)}`;
    case 'invalid_union':
      return 'options' in issue && Array.isArray(issue.options)
        ? `expected ${oneOf(issue.options)}`
        : issue.message;
    case 'invalid_format':
      if ('prefix' in issue) return `expected text that starts with "${issue.prefix}"`;
      return issue.message;
    case 'too_small':
      if (issue.origin === 'string' && issue.message.startsWith('Too small')) return 'expected some text';
      return bound(issue, issue.inclusive ? 'at least' : 'more than', issue.minimum);
    case 'too_big':
      return bound(issue, issue.inclusive ? 'at most' : 'less than', issue.maximum);
    default:
      return issue.message;
  }
}

/** `5` where `5s` was meant is a number where text was expected, but that is not how to say it. */
const UNIT_EXPECTATIONS: Readonly<Record<string, string>> = {
  duration: 'expected a duration with a unit, such as 500ms, 30s or 2h',
  size: 'expected a size with a unit, such as 64KiB or 1MiB',
  'whole number or auto': `expected a whole number from 1 to ${MOST_WORKERS}, or auto`,
};

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: 'text',
  int: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a section',
  record: 'a section',
};

/** The schema's own words where it has some; zod's begin with a capital. */
function bound(issue: Issue, relation: string, limit: number | bigint): string {
  return /^[A-Z]/.test(issue.message) ? `expected a number of ${relation} ${limit}` : issue.message;
}

function oneOf(values: readonly unknown[]): string {
  const texts = values.map((value) => JSON.stringify(value));
  return texts.length === 1 ? String(texts[0]) : `one of ${texts.join(', ')}`;
}

/** Text under a secret setting, too: the items of a list of keys. */
function isSecret(path: SettingPath, tree: Section): boolean {
  return path.some((_, index) => {
    const setting = settingAt(tree, path.slice(0, index + 1));
    return setting?.kind === 'value' && setting.secret;
  });
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'a section';
  const text = JSON.stringify(value) ?? String(value);
  return text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE)}…` : text;
}

function valueAt(values: unknown, path: SettingPath): unknown {
  return path.reduce<unknown>(
    (value, step) => (value as Readonly<Record<string, unknown>> | null | undefined)?.[step],
    values,
  );
}
