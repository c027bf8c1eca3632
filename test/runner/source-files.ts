import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Past so many lines, a file is a question to ask. */
const LONG = 400;

const NOT_OURS = new Set(['node_modules', 'dist', '.git']);

/** Every TypeScript file of the repository, relative to `root` with forward slashes, in a stable order. */
export function sourceFiles(root: string): string[] {
  return globSync('**/*.ts', { cwd: root, exclude: (name) => NOT_OURS.has(name) })
    .map((file) => file.replaceAll('\\', '/'))
    .sort();
}

export function longFiles(root: string): { file: string; lines: number }[] {
  return sourceFiles(root)
    .map((file) => ({ file, lines: readFileSync(join(root, file), 'utf8').split('\n').length - 1 }))
    .filter(({ lines }) => lines > LONG);
}
