import { readFileSync } from 'node:fs';
import type { Cluster, Redis } from 'ioredis';

/** Scripts that work on a record; they begin with `record.lua`. */
const RECORD_SCRIPTS = ['lookup', 'read', 'commit', 'touch', 'release', 'adopt', 'end'] as const;
const OTHER_SCRIPTS = ['announce', 'index-backend'] as const;

export type ScriptName = (typeof RECORD_SCRIPTS)[number] | (typeof OTHER_SCRIPTS)[number];

/** Teaches a client the scripts. ioredis sends a script's text once per connection and its hash from then on. */
export function defineScripts(client: Redis | Cluster): void {
  const record = scriptText('record');
  for (const name of RECORD_SCRIPTS) {
    const text = scriptText(`${name}-1`);
    // Redis wants the line with the flags first.
    const body = text.indexOf('\n') + 1;
    client.defineCommand(commandName(name), {
      numberOfKeys: 1,
      lua: `${text.slice(0, body)}${record}${text.slice(body)}`,
    });
  }
  for (const name of OTHER_SCRIPTS) {
    client.defineCommand(commandName(name), { numberOfKeys: 1, lua: scriptText(`${name}-1`) });
  }
}

/** Runs a script; strings in its reply are Buffers, so that snapshots survive. */
export function runScript(
  client: Redis | Cluster,
  name: ScriptName,
  key: string,
  args: readonly (string | Buffer)[],
): Promise<unknown> {
  const commands = client as unknown as Record<string, (...args: (string | Buffer)[]) => Promise<unknown>>;
  const command = commands[`${commandName(name)}Buffer`];
  if (command === undefined) throw new TypeError(`script ${name} is not defined`);
  return command.call(client, key, ...args);
}

function commandName(name: ScriptName): string {
  return `stickshift.${name}`;
}

function scriptText(name: string): string {
  return readFileSync(new URL(`./scripts/${name}.lua`, import.meta.url), 'utf8');
}
