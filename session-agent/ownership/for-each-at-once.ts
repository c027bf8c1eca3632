/**
 * Works through `items`, at most `concurrency` at once, until `signal` is aborted. A worker ends with its first failure; the
 * others go on. Rejects in the end with the first of the failures. `items` may grow meanwhile if its iterator allows for that.
 */
export async function forEachAtOnce<T>(
  items: Iterable<T>,
  concurrency: number,
  signal: AbortSignal,
  work: (item: T) => Promise<void>,
): Promise<void> {
  // One iterator for all: each item is taken by one worker. Not a generator, which the first to end would close for the rest.
  const iterator = items[Symbol.iterator]();
  const run = async (): Promise<void> => {
    for (let next = iterator.next(); !next.done && !signal.aborted; next = iterator.next())
      await work(next.value);
  };
  const results = await Promise.allSettled(Array.from({ length: concurrency }, run));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}
