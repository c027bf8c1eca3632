import { readFileSync } from 'node:fs';
import { join, posix } from 'node:path';

/** What one file imports: files of ours by their path from the root, packages and `node:` modules by their name. */
export interface FileImports {
  readonly file: string;
  readonly ours: readonly string[];
  /** Of `ours`, those that are still there when the file runs: without `import type`. */
  readonly atRunTime: readonly string[];
  readonly packages: readonly string[];
}

const COMMENT = /\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/[^\n]*/g;
const IMPORTS = [
  /^\s*(?:import|export)\s(?:[^'";]*?\sfrom\s*)?['"]([^'"]+)['"]/gm,
  /\bimport\(\s*['"]([^'"]+)['"]\s*\)/g,
  /\bnew URL\(\s*['"](\.[^'"]+\.ts)['"]\s*,\s*import\.meta\.url\s*\)/g,
];

const TYPE_IMPORT = /^\s*(?:import|export)\s+type\s[^'";]*?\sfrom\s*['"][^'"]+['"]/gm;

/** The specifiers that a TypeScript source imports or re-exports, statically or by `import()`. */
export function importedSpecifiers(source: string, which: 'all' | 'at run time' = 'all'): string[] {
  const text = source.replace(COMMENT, '');
  const code = which === 'all' ? text : text.replace(TYPE_IMPORT, '');
  return IMPORTS.flatMap((pattern) => [...code.matchAll(pattern)].map((match) => match[1] ?? ''));
}

export function readImports(root: string, files: readonly string[]): FileImports[] {
  return files.map((file) => {
    const source = readFileSync(join(root, file), 'utf8');
    const specifiers = importedSpecifiers(source);
    const isRelative = (specifier: string) => specifier.startsWith('.');
    const fromRoot = (specifier: string) => posix.join(posix.dirname(file), specifier);
    return {
      file,
      ours: specifiers.filter(isRelative).map(fromRoot),
      atRunTime: importedSpecifiers(source, 'at run time').filter(isRelative).map(fromRoot),
      packages: specifiers.filter((specifier) => !isRelative(specifier)),
    };
  });
}

/** The first cycle found among imports that run, as the files in order with the first one repeated at the end; empty when none. */
export function findCycle(imports: readonly FileImports[]): string[] {
  const graph = new Map(imports.map(({ file, atRunTime }) => [file, atRunTime]));
  const done = new Set<string>();
  const visit = (file: string, trail: readonly string[]): string[] => {
    const at = trail.indexOf(file);
    if (at >= 0) return [...trail.slice(at), file];
    if (done.has(file)) return [];
    for (const next of graph.get(file) ?? []) {
      const cycle = visit(next, [...trail, file]);
      if (cycle.length > 0) return cycle;
    }
    done.add(file);
    return [];
  };
  for (const file of graph.keys()) {
    const cycle = visit(file, []);
    if (cycle.length > 0) return cycle;
  }
  return [];
}
