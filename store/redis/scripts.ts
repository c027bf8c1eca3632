import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Cluster, Redis } from 'ioredis';

/** Each script and how many keys it works on; its file is `scripts/<name>-<keys>.lua`. */
const SCRIPTS = {
  lookup: 1,
  read: 1,
  commit: 1,
  touch: 1,
  release: 1,
  adopt: 1,
  end: 1,
  replace: 2,
  introduce: 1,
  'prolong-settling': 1,
  mark: 1,
  announce: 1,
  withdraw: 1,
  'index-backend': 1,
  'set-backend-state': 1,
  'backend-states': 1,
} as const;

/** Those that work on records begin with `record.lua`. */
const ON_RECORDS: readonly string[] = [
  'lookup',
  'read',
  'commit',
  'touch',
  'release',
  'adopt',
  'end',
  'replace',
] satisfies ScriptName[];

export type ScriptName = keyof typeof SCRIPTS;

/** Hashes of the scripts' texts. */
const hashes = new Map<string, string>();

/** Teaches a client the scripts. ioredis sends a script's text once per connection and its hash from then on. */
export function defineScripts(client: Redis | Cluster): void {
  const record = scriptText('record');
  for (const [name, numberOfKeys] of Object.entries(SCRIPTS)) {
    const text = scriptText(`${name}-${numberOfKeys}`);
    // Redis wants the line with the flags first.
    const body = text.indexOf('\n') + 1;
    const lua = ON_RECORDS.includes(name) ? `${text.slice(0, body)}${record}${text.slice(body)}` : text;
    client.defineCommand(commandName(name), { numberOfKeys, lua });
    hashes.set(name, createHash('sha1').update(lua).digest('hex'));
  }
}

/**
 * Runs a script; strings in its reply are Buffers, so that snapshots survive. To a server that has forgotten the script it is
 * sent a second time, behind whatever has been sent since.
 */
export function runScript(
  client: Redis | Cluster,
  name: ScriptName,
  keys: readonly string[],
  args: readonly (string | Buffer)[],
): Promise<unknown> {
  const commands = client as unknown as Record<string, (...args: (string | Buffer)[]) => Promise<unknown>>;
  const command = commands[`${commandName(name)}Buffer`];
  if (command === undefined) throw new TypeError(`script ${name} is not defined`);
  return command.call(client, ...keys, ...args);
}

/** The same, but never sends it a second time: resolves with `undefined` when the server does not know the script. */
export async function runKnownScript(
  client: Redis | Cluster,
  name: ScriptName,
  keys: readonly string[],
  args: readonly (string | Buffer)[],
): Promise<unknown> {
  const hash = hashes.get(name);
  if (hash === undefined) throw new TypeError(`script ${name} is not defined`);
  try {
    return await client.callBuffer('evalsha', hash, keys.length, ...keys, ...args);
  } catch (error) {
    if (error instanceof Error && error.message.startsWith('NOSCRIPT')) return undefined;
    throw error;
  }
}

function commandName(name: string): string {
  return `stickshift.${name}`;
}

function scriptText(name: string): string {
  return readFileSync(new URL(`./scripts/${name}.lua`, import.meta.url), 'utf8');
}
