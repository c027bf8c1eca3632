import type { ConnectionObserver } from './link.ts';
import { RespReader, type RespValue } from './resp.ts';

/** A commit that the store has answered with success, as seen on the wire between an agent and Redis. */
export interface ObservedCommit {
  /** Milliseconds of `performance.now()`. */
  readonly at: number;
  readonly key: string;
  readonly owner: string;
  readonly epoch: number;
  readonly seq: number;
}

const SUBSCRIPTION = /^[ps]?(un)?subscribe$/i;
const RECORD = /^stickshift:\{(.+)\}$/;

/**
 * Observes a connection to Redis and tells of every commit that took effect, whether or not its answer ever arrives. The
 * scripts' own first arguments are owner, epoch and seq; a commit's is the only reply that says `committed`.
 */
export function commitTap(onCommit: (commit: ObservedCommit) => void): ConnectionObserver {
  const commands = new RespReader();
  const replies = new RespReader();
  /** Commands that wait for their reply, which come in order. */
  const waiting: (readonly string[])[] = [];
  return {
    forward: (bytes) => {
      for (const { value } of commands.read(bytes)) {
        const command = asText(value);
        if (!SUBSCRIPTION.test(command[0] ?? '')) waiting.push(command);
      }
    },
    backward: (bytes) => {
      for (const { push, value } of replies.read(bytes)) {
        if (push || isSubscribed(value)) continue;
        const commit = committed(waiting.shift() ?? [], value);
        if (commit !== undefined) onCommit({ at: performance.now(), ...commit });
      }
    },
  };
}

function committed(command: readonly string[], reply: RespValue): Omit<ObservedCommit, 'at'> | undefined {
  const [name = '', , , key = '', owner = '', epoch = '', seq = ''] = command;
  if (!/^eval(sha)?$/i.test(name) || !Array.isArray(reply) || reply[0] !== 'committed') return undefined;
  const sessionKey = RECORD.exec(key)?.[1];
  if (sessionKey === undefined) return undefined;
  return { key: sessionKey, owner, epoch: Number(epoch), seq: Number(seq) };
}

/** To a subscription belong any number of answers, pushed in RESP3 and lists like others in RESP2. */
function isSubscribed(reply: RespValue): boolean {
  return Array.isArray(reply) && /^[ps]?(un)?subscribe$|^[ps]?message$/.test(String(reply[0]));
}

function asText(command: RespValue): string[] {
  return Array.isArray(command) ? command.map((part) => String(part)) : [];
}
