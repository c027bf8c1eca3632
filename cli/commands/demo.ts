import { existsSync } from 'node:fs';
import { type Command, InvalidArgumentError } from 'commander';
import type { CommandContext } from '../command-context.ts';
import { CommandError } from '../exit-status.ts';

/** What this command needs of `demo/main.ts`; written out, because the demo is no part of the published package. */
export interface DemoModule {
  runDemo(options: DemoCommandOptions): Promise<number>;
  performDeed(deed: (typeof DEEDS)[number]['name'], backend: string): Promise<void>;
}

interface DemoCommandOptions {
  readonly port?: number;
  readonly adminPort?: number;
  readonly store?: string;
  readonly backends?: number;
  readonly check?: boolean;
  readonly json?: boolean;
  readonly keepState?: boolean;
}

const DEEDS = [
  { name: 'kill', description: 'SIGKILL a server of the running demo, and its agent', done: 'is killed' },
  { name: 'restart', description: 'start a killed server of the running demo again', done: 'runs again' },
] as const;

export function addDemoCommand(program: Command, context: CommandContext): void {
  const demo = program
    .command('demo')
    .description('run a shop on three servers with Stickshift in front, to kill and to drain')
    .option('--check', 'run unattended: fill carts, kill, drain, verify; exit status 1 if anything was lost')
    .option('--port <port>', 'port of the gateway (default: 8080)', portArgument)
    .option('--admin-port <port>', 'port of the admin API (default: 8081)', portArgument)
    .option('--store <url>', 'store (STICKSHIFT_STORE; default: SQLite in a directory of the demo’s own)')
    .option('--backends <count>', 'number of shops (default: 3)', countArgument)
    .option('--keep-state', 'leave store, configuration and logs when the demo ends')
    .option('--json', 'print JSON only')
    .action(async (options: DemoCommandOptions) => {
      const { runDemo } = await loadDemo();
      context.finish(await runDemo(options));
    });

  for (const { name, description, done } of DEEDS) {
    demo
      .command(name)
      .description(description)
      .argument('<backend>', 'such as app-2')
      .action(async (backend: string) => {
        const { performDeed } = await loadDemo();
        await performDeed(name, backend);
        context.terminal.out(`${backend} ${done}.\n`);
      });
  }
}

async function loadDemo(): Promise<DemoModule> {
  const module = new URL('../../demo/main.ts', import.meta.url);
  if (!existsSync(module)) {
    throw new CommandError(
      'The demo is not part of this installation; run "npm start" in a checkout of Stickshift.',
    );
  }
  return (await import(module.href)) as DemoModule;
}

function portArgument(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new InvalidArgumentError('Expected a port, 0 to 65535.');
}

function countArgument(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Expected a whole number.');
}
