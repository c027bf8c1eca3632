/** What one exchange with the shop looked like from a client. Times are `performance.now()`. */
export interface Call {
  readonly client: string;
  readonly startedAt: number;
  readonly endedAt: number;
  /** Server that answered 2xx; undefined when the answer was another or there was none. */
  readonly server: string | undefined;
}

/**
 * Measures, for clients whose sessions leave one server, how long each waited at its move: from sending the first
 * request that the old server did not answer well until the first good answer of another server. The client's retries
 * and their pauses are within; the time in which it wanted nothing is not.
 */
export class MoveWatch {
  readonly #from: string;
  readonly #since: number;
  /** Clients that have not moved yet, and since when each waits. */
  readonly #waiting: Map<string, number | undefined>;
  readonly #durations: number[] = [];

  constructor(from: string, clients: Iterable<string>, since: number) {
    this.#from = from;
    this.#since = since;
    this.#waiting = new Map([...clients].map((client) => [client, undefined]));
  }

  observe({ client, startedAt, endedAt, server }: Call): void {
    if (!this.#waiting.has(client) || endedAt < this.#since) return;
    if (server === this.#from) {
      this.#waiting.set(client, undefined);
      return;
    }
    const waitingSince = this.#waiting.get(client) ?? startedAt;
    if (server === undefined) {
      this.#waiting.set(client, waitingSince);
      return;
    }
    this.#waiting.delete(client);
    this.#durations.push(endedAt - waitingSince);
  }

  /** Clients that have not moved yet. */
  get remaining(): number {
    return this.#waiting.size;
  }

  /** Milliseconds, one for each client that moved. */
  get durations(): readonly number[] {
    return this.#durations;
  }
}
