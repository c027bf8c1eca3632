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
    const replies = await Promise.all(batch.map((write) => send(connection, write)));
    const written = new Map<Write, Reply>();
    for (const [index, write] of batch.entries()) {
      const reply = replies[index];
      if (reply === undefined) continue;
      if (stands(write.script, reply)) written.set(write, reply);
      else write.resolve(reply);
    }
    if (written.size > 0) await this.#awaitReplicas(connection, written);
  }

  async #awaitReplicas(connection: RedisConnection, written: ReadonlyMap<Write, Reply>): Promise<void> {
    const writes = [...written.keys()];
    try {
      // A write that was sent again may have changed nothing now and be missing on the replicas all the same.
      await connection.run('mark', [MARK_KEY], []);
      const left = Math.floor(timeLeft(writes));
      // 0 would be for ever.
      if (left < 1) return;
      const reached = await connection.ask('wait', (client) => client.wait(this.#replicas, left));
      for (const [write, reply] of written) {
        if (write.progress === 'over') continue;
        if (reached >= this.#replicas) write.resolve(reply);
        else write.reject(notReplicated(write, `reached ${reached} of ${this.#replicas} replicas in time`));
      }
    } catch (error) {
      const { code, message } = asStickshiftError(error);
      for (const write of writes) {
        // An operator has to allow WAIT; that the connection broke says nothing against the write.
        const refused = code === 'STORE_REFUSED' || code === 'STORE_INVALID';
        write.reject(refused ? new StickshiftError(code, message) : notReplicated(write, message));
      }
    }
  }
}

async function send(connection: RedisConnection, write: Write): Promise<Reply | undefined> {
  if (write.progress === 'over') return undefined;
  write.progress = 'sent';
  try {
    const reply = await connection.run(write.script, write.keys, write.args);
    if (write.progress === 'sent') write.progress = 'written';
    return reply;
  } catch (error) {
    write.reject(asStickshiftError(error));
    return undefined;
  }
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
