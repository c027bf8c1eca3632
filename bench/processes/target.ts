import type { ChildProcess } from 'node:child_process';
import { processCpuMicros } from '../measure/process-cpu.ts';
import { endProcess, startModule } from './child-process.ts';

/** A process that listens on a port of 127.0.0.1. */
export interface Target extends AsyncDisposable {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
  /** CPU time that it has used so far. */
  cpuMicros(): number;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
}

export function asTarget(name: string, child: ChildProcess, port: number): Target {
  const { pid } = child;
  if (pid === undefined) throw new Error(`${name} did not start`);
  return {
    name,
    port,
    pid,
    cpuMicros: () => processCpuMicros(pid),
    kill: () => endProcess(child, 'SIGKILL'),
    [Symbol.asyncDispose]: () => endProcess(child),
  };
}

export async function startBackend(): Promise<Target> {
  const { child, message } = await startModule('backend.main.ts');
  return asTarget('backend', child, (message as { port: number }).port);
}

/** @param tls - files in PEM; given, it serves HTTPS */
export async function startBareProxy(
  backendPort: number,
  tls?: { readonly cert: string; readonly key: string },
): Promise<Target> {
  const { child, message } = await startModule('bare-proxy.main.ts', {
    BENCH_BACKEND_PORT: String(backendPort),
    ...(tls && { BENCH_TLS_CERT: tls.cert, BENCH_TLS_KEY: tls.key }),
  });
  return asTarget('http-proxy-3', child, (message as { port: number }).port);
}
