/** Holds this process up, as a machine does that has other things to do: whatever happens meanwhile, it learns afterwards. */
export function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
