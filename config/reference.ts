import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { jsonSchema } from './json-schema.ts';
import { referencePage } from './reference-page.ts';
import { settingTree } from './setting-tree.ts';

/*
 * Writes what the schema says into docs/:  node config/reference.ts
 * With --check it writes nothing, and fails when a file says something else.
 */
const documents: Readonly<Record<string, string>> = {
  'docs/configuration.md': referencePage(settingTree()),
  'docs/stickshift.schema.json': jsonSchema(),
};
const isCheck = process.argv.includes('--check');

for (const [name, content] of Object.entries(documents)) {
  const file = fileURLToPath(new URL(`../${name}`, import.meta.url));
  if (!isCheck) {
    writeFileSync(file, content);
  } else if (contentOf(file) !== content) {
    process.stderr.write(`${name} is not what config/schema.ts says; run "npm run docs:configuration"\n`);
    process.exitCode = 1;
  }
}

function contentOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
