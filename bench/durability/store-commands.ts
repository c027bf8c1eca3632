import { once } from 'node:events';
import type { Redis } from 'ioredis';

/** Commands that clients sent to Redis while something was done; what scripts call inside is not counted. */
export interface StoreCommands {
  /** About sessions, by name. */
  readonly sessions: Readonly<Record<string, number>>;
  /** About anything else: backends that announce themselves, states that gateways poll, signs of life. */
  readonly others: Readonly<Record<string, number>>;
}

/** Records, the mark that a commit to replicas writes, and the sessions of connect-redis. */
const SESSION_KEYS = ['stickshift:{', 'stickshift:mark', 'sess:'];
const SCRIPT_COMMANDS = new Set(['eval', 'evalsha']);
/** They have no key; nobody sends them but for sessions. */
const OF_SESSIONS = new Set(['wait', 'waitaof']);

/** Watches Redis with MONITOR, which makes it slower: nothing is timed meanwhile. */
export async function countCommands(client: Redis, work: () => Promise<void>): Promise<StoreCommands> {
  const monitor = await client.monitor();
  const counts = { sessions: {} as Record<string, number>, others: {} as Record<string, number> };
  const end = `end of count ${Math.random()}`;
  const ended = new Promise<void>((resolve) => {
    monitor.on('monitor', (_time: string, args: string[], source: string) => {
      const [command = '', ...rest] = args;
      if (rest[0] === end) return resolve();
      if (source === 'lua') return;
      const name = command.toLowerCase();
      const group = isOfSessions(name, rest) ? counts.sessions : counts.others;
      group[name] = (group[name] ?? 0) + 1;
    });
  });
  try {
    await work();
    await client.echo(end);
    await ended;
  } finally {
    const closed = once(monitor, 'end');
    monitor.disconnect();
    await closed;
  }
  return counts;
}

export function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

function isOfSessions(name: string, args: readonly string[]): boolean {
  if (OF_SESSIONS.has(name)) return true;
  const key = SCRIPT_COMMANDS.has(name) ? args[2] : args[0];
  return key !== undefined && SESSION_KEYS.some((prefix) => key.startsWith(prefix));
}
