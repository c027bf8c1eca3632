const DIRECTIVE = /([^\s,=]+)(?:\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,]*))?/g;

/** Of shared caches only; or, with a field list, a weaker form of what we are about to say. */
const DROPPED: ReadonlySet<string> = new Set(['public', 's-maxage', 'private']);

/**
 * Headers by which a CDN or a proxy in front is told to cache whatever Cache-Control says (RFC 9213 and its forerunners).
 * Without them it falls back to Cache-Control.
 */
function isTargeted(name: string): boolean {
  return name.endsWith('cdn-cache-control') || name === 'surrogate-control' || name === 'x-accel-expires';
}

/**
 * Keeps shared caches from storing an answer that carries an affinity cookie: they would hand one client's binding to all. What
 * the application said to the client's own cache stays.
 *
 * @param headers - names and values in turn; changed in place
 */
export function privateCacheControl(headers: string[]): void {
  const values: string[] = [];
  let kept = 0;
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] as string;
    const value = headers[index + 1] as string;
    const lower = name.toLowerCase();
    if (lower === 'cache-control') {
      values.push(value);
      continue;
    }
    if (isTargeted(lower)) continue;
    headers[kept++] = name;
    headers[kept++] = value;
  }
  headers.length = kept;
  headers.push('Cache-Control', privately(values.join(', ')));
}

function privately(cacheControl: string): string {
  const directives = [...cacheControl.matchAll(DIRECTIVE)].filter(
    ([, name = '']) => !DROPPED.has(name.toLowerCase()),
  );
  const rest = directives.map(([text]) => text);
  // No cache at all stores this; `private` beside it would say less, not more.
  if (directives.some(([, name = '']) => name.toLowerCase() === 'no-store')) return rest.join(', ');
  return ['private', ...rest].join(', ');
}
