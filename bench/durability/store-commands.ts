import type { Redis } from 'ioredis';
import { monitorRedis } from '../processes/redis-monitor.ts';

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
  const counts = { sessions: {} as Record<string, number>, others: {} as Record<string, number> };
  const end = `end of count ${Math.random()}`;
  const ended = Promise.withResolvers<void>();
  using _monitor = await monitorRedis(client, ({ name, args, calledByScript }) => {
    if (args[0] === end) return ended.resolve();
    if (calledByScript) return;
    const group = isOfSessions(name, args) ? counts.sessions : counts.others;
    group[name] = (group[name] ?? 0) + 1;
  });
  await work();
  await client.echo(end);
  await ended.promise;
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
