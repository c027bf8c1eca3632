import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { jsonSchema } from './json-schema.ts';
import { parseConfig } from './load.ts';
import { referencePage } from './reference-page.ts';
import { type Setting, settingTree } from './setting-tree.ts';

const root = join(import.meta.dirname, '..');

describe('the configuration reference', () => {
  test('is up to date', () => {
    const { status, stderr } = spawnSync(process.execPath, [join(root, 'config/reference.ts'), '--check']);
    assert.equal(status, 0, String(stderr));
  });

  test('has a line for every setting, with a description, a type and a variable', () => {
    const page = referencePage(settingTree());
    for (const { key, described } of allValues(settingTree(), '')) {
      assert.ok(described, `${key} has no description`);
      const last = key.split('.').at(-1) ?? '';
      const variable = key.includes('[]') ? '–' : '`STICKSHIFT_';
      assert.match(page, new RegExp(`^\\| \`([a-z<>A-Z.[\\]]+\\.)?${last}\` \\|.*\\| ${variable}`, 'm'), key);
    }
  });

  test('marks what is required and what is secret', () => {
    const page = referencePage(settingTree());
    assert.match(page, /^\| `secret` \| text, \*secret\* \| \*\*required\*\* \|/m);
    assert.match(page, /^\| `backends\.<backend>\.url` \| text \| \*\*required\*\* \|/m);
  });
});

describe('the JSON Schema', () => {
  test('knows every section and refuses unknown keys', () => {
    const schema = JSON.parse(jsonSchema());
    assert.deepEqual(Object.keys(schema.properties), ['secret', 'store', 'gateway', 'pools', 'agents']);
    assert.equal(schema.additionalProperties, false);
    assert.deepEqual(schema.required, ['secret']);
  });
});

describe('the example', () => {
  const file = join(root, 'examples/stickshift.yaml');
  const text = readFileSync(file, 'utf8');

  test('is a valid configuration', () => {
    const { config } = parseConfig(text, { file, env: {} });
    assert.deepEqual(Object.keys(config.pools), ['shop', 'intranet']);
  });

  test('names a schema that is there', () => {
    const schema = /^# yaml-language-server: \$schema=(\S+)$/m.exec(text)?.[1];
    assert.ok(schema && existsSync(join(root, 'examples', schema)));
  });
});

function allValues(setting: Setting, key: string): { key: string; described: boolean }[] {
  const below = (name: string) => (key === '' ? name : `${key}.${name}`);
  switch (setting.kind) {
    case 'value':
      return [{ key, described: setting.description !== undefined }];
    case 'named':
      return allValues(setting.entry, below('<name>'));
    case 'sections':
      return allValues(setting.entry, `${key}[]`);
    case 'section':
      return [...setting.entries].flatMap(([name, entry]) => allValues(entry, below(name)));
    case 'choice':
      return [...setting.options.values()].flatMap((option) =>
        [...option.entries]
          // The key that chooses stands in the heading.
          .filter(([name]) => name !== setting.discriminator)
          .flatMap(([name, entry]) => allValues(entry, below(name))),
      );
  }
}
