import { asStickshiftError, StickshiftError } from '../../protocol/errors.ts';
import type { RedisConnection } from './connection.ts';
import type { Reply } from './replies.ts';
import type { ScriptName } from './scripts.ts';

const MARK_KEY = 'stickshift:mark';
/** Writes that share one WAIT. */
const LARGEST_BATCH = 1_000;

interface Write {
  readonly script: ScriptName;
  readonly keys: readonly string[];
  readonly args: readonly (string | Buffer)[];
  /** On the clock of `performance.now()`. */
  readonly deadline: number;
  readonly resolve: (reply: Reply) => void;
  /** No effect after the write has been resolved or rejected. */
  readonly reject: (error: StickshiftError) => void;
  progress: 'queued' | 'sent' | 'written' | 'over';
}

/** `runKnown` is for what something else is sent behind, in the same turn: nothing is sent again then. */
type How = 'run' | 'runKnown';

/** Those that stand, each with its reply. */
type Written = Map<Write, Reply>;

/**
 * Writes that must reach so many replicas before they are answered. WAIT blocks its connection, so they have one of
 * their own, and many of them share one WAIT: the next batch gathers while one is under way.
 */
export class ReplicatedWrites {
  readonly #open: () => RedisConnection;
  readonly #replicas: number;
  readonly #timeoutMs: number;
  readonly #queue: Write[] = [];
  #connection: RedisConnection | undefined;
  #working = false;
  /**
   * Whether the replicas did what the last WAIT asked for. Then the next one is sent along with its writes; otherwise only once
   * one of them stands, since it might hold up for nothing whatever comes after it.
   */
  #keepUp = false;

  /**
   * @param open - called for the first write
   * @param replicas - how many each write waits for
   */
  constructor(open: () => RedisConnection, replicas: number, timeoutMs: number) {
    this.#open = open;
    this.#replicas = replicas;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Runs a script; resolves with its reply when the replicas have what it wrote. A reply that says that nothing of the
   * caller's stands waits for nobody.
   *
   * @throws StickshiftError `STORE_NOT_REPLICATED`: written, but not known to have reached so many in time
   */
  run(script: ScriptName, keys: readonly string[], args: readonly (string | Buffer)[]): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const over = () => {
        clearTimeout(timer);
        write.progress = 'over';
      };
      const write: Write = {
        script,
        keys,
        args,
        deadline: performance.now() + this.#timeoutMs,
        resolve: (reply) => {
          over();
          resolve(reply);
        },
        reject: (error) => {
          over();
          reject(error);
        },
        progress: 'queued',
      };
      const timer = setTimeout(() => write.reject(late(write)), this.#timeoutMs);
      this.#queue.push(write);
      if (!this.#working) void this.#work();
    });
  }

  async close(): Promise<void> {
    await this.#connection?.close();
  }

  async #work(): Promise<void> {
    this.#working = true;
    // Writes that are asked for in the same turn go together.
    await new Promise(setImmediate);
    while (this.#queue.length > 0) await this.#batch(this.#queue.splice(0, LARGEST_BATCH));
    this.#working = false;
  }

  /** Never rejects. */
  async #batch(batch: readonly Write[]): Promise<void> {
    this.#connection ??= this.#open();
    const connection = this.#connection;
    await connection.firstAttempt(timeLeft(batch));

    const written: Written = new Map();
    const how = this.#keepUp ? 'runKnown' : 'run';
    const sent = batch.map((write) => send(connection, how, write, written));
    let confirmation = this.#keepUp ? await this.#confirm(connection, how, batch) : undefined;
    const forgotten = (await Promise.all(sent)).filter((write) => write !== undefined);
    if (forgotten.length > 0) {
      // They come after the WAIT that was sent with them.
      confirmation = undefined;
      await Promise.all(forgotten.map((write) => send(connection, 'run', write, written)));
    }
    if (written.size > 0) confirmation ??= await this.#confirm(connection, 'run', [...written.keys()]);
    if (confirmation === undefined) return;
    this.#keepUp = confirmation instanceof StickshiftError ? false : confirmation >= this.#replicas;
    this.#settle(written, confirmation);
  }

  /**
   * Asks how many replicas have what was sent before. Never rejects.
   *
   * @returns why that is not known; `undefined` when there is no time left for it, or the server does not know the mark
   */
  async #confirm(
    connection: RedisConnection,
    how: How,
    writes: readonly Write[],
  ): Promise<number | StickshiftError | undefined> {
    try {
      // A write that was sent again may have changed nothing now and be missing on the replicas all the same.
      const marking = connection[how]('mark', [MARK_KEY], []);
      if (how === 'run') await marking;
      const left = Math.floor(timeLeft(writes));
      // 0 would be for ever.
      const waiting =
        left < 1 ? undefined : connection.ask('wait', (client) => client.wait(this.#replicas, left));
      const [marked, reached] = await Promise.all([marking, waiting]);
      return marked && reached;
    } catch (error) {
      return asStickshiftError(error);
    }
  }

  #settle(written: Written, confirmation: number | StickshiftError): void {
    for (const [write, reply] of written) {
      if (write.progress === 'over') continue;
      if (confirmation instanceof StickshiftError) {
        const { code, message } = confirmation;
        // An operator has to allow WAIT; that the connection broke says nothing against the write.
        const refused = code === 'STORE_REFUSED' || code === 'STORE_INVALID';
        write.reject(refused ? new StickshiftError(code, message) : notReplicated(write, message));
      } else if (confirmation < this.#replicas) {
        write.reject(notReplicated(write, `reached ${confirmation} of ${this.#replicas} replicas in time`));
      } else {
        write.resolve(reply);
      }
    }
  }
}

/**
 * Settles the write unless it has to wait for the replicas; then it is among the `written`. Never rejects.
 *
 * @returns the write itself if the server does not know its script
 */
async function send(
  connection: RedisConnection,
  how: How,
  write: Write,
  written: Written,
): Promise<Write | undefined> {
  if (write.progress === 'over') return undefined;
  write.progress = 'sent';
  try {
    const reply = await connection[how](write.script, write.keys, write.args);
    if (reply === undefined) return write;
    if (!stands(write.script, reply)) write.resolve(reply);
    else {
      if (write.progress === 'sent') write.progress = 'written';
      written.set(write, reply);
    }
  } catch (error) {
    write.reject(asStickshiftError(error));
  }
  return undefined;
}

/** Whether the reply vouches for something in the store. `stale` does: it may be this very write, sent again. */
function stands(script: ScriptName, reply: Reply): boolean {
  if (reply.outcome === 'ended') return script === 'end';
  return reply.outcome !== 'fenced' && reply.outcome !== 'absent';
}

function timeLeft(writes: readonly Write[]): number {
  return Math.max(0, Math.max(...writes.map(({ deadline }) => deadline)) - performance.now());
}

/** What it means that the time of a write is over. */
function late(write: Write): StickshiftError {
  switch (write.progress) {
    case 'queued':
      return new StickshiftError(
        'STORE_UNREACHABLE',
        `${write.script}: waited in vain for the replicas’ connection`,
      );
    case 'sent':
      return new StickshiftError('STORE_TIMEOUT', `${write.script}: no answer in time`);
    default:
      return notReplicated(write, 'the replicas did not confirm it in time');
  }
}

function notReplicated(write: Write, why: string): StickshiftError {
  return new StickshiftError('STORE_NOT_REPLICATED', `${write.script}: written, but ${why}`);
}
