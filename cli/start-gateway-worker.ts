import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { GatewayWorkerData } from './gateway-worker.ts';

/** Starts the thread of a gateway's worker. */
export function startGatewayWorker(data: GatewayWorkerData): Worker {
  // Beside this file, and like it TypeScript in a checkout, JavaScript in a package.
  const program = new URL(`./gateway-worker${extname(import.meta.filename)}`, import.meta.url);
  return new Worker(program, { workerData: data, name: `worker ${data.number}` });
}
