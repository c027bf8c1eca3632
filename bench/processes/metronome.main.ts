import { parentPort, workerData } from 'node:worker_threads';

// A thread that may block, and so keeps time to a tenth of a millisecond; timers of the event loop keep it to one.
const nothing = new Int32Array(new SharedArrayBuffer(4));
const started = performance.now();
for (let turn = 1; ; turn++) {
  const early = started + turn * workerData.intervalMs - performance.now();
  if (early > 0) Atomics.wait(nothing, 0, 0, early);
  parentPort?.postMessage(turn);
}
