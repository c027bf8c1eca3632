import { Worker } from 'node:worker_threads';
import type { GatewayWorkerData } from '../../cli/gateway-worker.ts';

/** How a worker may end of which nobody had asked that. */
export type Death = 'throw' | 'exit' | 'exhaust';

const PROGRAM = new URL('../../cli/gateway-worker.ts', import.meta.url);
/** Loaded before the worker's own program, which knows nothing of it. */
const SABOTAGE = `data:text/javascript,${encodeURIComponent(`
  import { parentPort } from 'node:worker_threads';
  parentPort.on('message', (message) => {
    if (message === 'throw') throw new Error('thrown by the test');
    if (message === 'exit') process.exit(3);
    if (message !== 'exhaust') return;
    const hoard = [];
    for (;;) hoard.push(Array.from({ length: 100_000 }, () => ({})));
  });
`)}`;
/** Several times what a worker needs; soon used up by one that hoards. */
const HEAP_MB = 128;

/** Starts a gateway's worker that {@link kill} can end. */
export function startFragileWorker(data: GatewayWorkerData): Worker {
  return new Worker(PROGRAM, {
    workerData: data,
    execArgv: ['--import', SABOTAGE],
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
  });
}

/** Has a worker end in the middle of whatever it does. */
export function kill(worker: Worker | undefined, death: Death): void {
  worker?.postMessage(death);
}
