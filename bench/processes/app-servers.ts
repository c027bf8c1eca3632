import { startModule } from './child-process.ts';
import { asTarget } from './target.ts';

export interface AppServers extends AsyncDisposable {
  /** A port for each of the names. */
  readonly ports: readonly number[];
}

/** @param names - what their answers have in `Server-Id` */
export async function startAppServers(names: readonly string[]): Promise<AppServers> {
  const { child, message } = await startModule('app-servers.main.ts', { BENCH_APPS: names.join(',') });
  const { ports } = message as { ports: number[] };
  const target = asTarget('app-servers', child, ports[0] ?? 0);
  return { ports, [Symbol.asyncDispose]: () => target[Symbol.asyncDispose]() };
}
