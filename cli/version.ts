import { existsSync, readFileSync } from 'node:fs';

/** The package's version; its package.json is one step up in a checkout, two from `dist/`. */
export function packageVersion(): string {
  const file = ['../package.json', '../../package.json']
    .map((path) => new URL(path, import.meta.url))
    .find((url) => existsSync(url));
  if (!file) return 'unknown';
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
  return version;
}
