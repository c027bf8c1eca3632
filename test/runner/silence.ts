import type { TestEvent } from 'node:test/reporters';

/**
 * A test that leaves a socket or a child process open keeps its file's process alive for ever, and node's runner waits
 * for it without a word. This says which files it waits for, and in the end gives up on them.
 */
export class SilenceWatch {
  /** Name files after so long without news, milliseconds. */
  static readonly warnAfter = 120_000;
  /** End the run after so long without news, milliseconds; above the longest timeout of a single test. */
  static readonly endAfter = 420_000;

  readonly #abort = new AbortController();
  readonly #underWay = new Set<string>();
  #lastHeard = performance.now();
  readonly #timer = setInterval(() => this.#look(), SilenceWatch.warnAfter / 4);
  #warned = false;

  /** Aborted when the silence has lasted too long. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  heard(event: TestEvent): void {
    this.#lastHeard = performance.now();
    this.#warned = false;
    // The runner wraps each file in a test named by its path.
    if (event.type === 'test:dequeue' && event.data.file) this.#underWay.add(event.data.file);
    if (event.type === 'test:summary' && event.data.file) this.#underWay.delete(event.data.file);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const silentFor = performance.now() - this.#lastHeard;
    const files = [...this.#underWay].join(', ') || 'the test runner';
    if (silentFor > SilenceWatch.endAfter) {
      process.stderr.write(`No news for ${(silentFor / 1000).toFixed(0)} s; giving up on ${files}\n`);
      this.#abort.abort();
    } else if (silentFor > SilenceWatch.warnAfter && !this.#warned) {
      this.#warned = true;
      process.stderr.write(`No news for ${(silentFor / 1000).toFixed(0)} s; still waiting for ${files}\n`);
    }
  }
}
