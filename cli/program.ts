import { Command, CommanderError } from 'commander';
import { StickshiftError } from '../protocol/errors.ts';
import type { CommandContext } from './command-context.ts';
import { addAgentCommand } from './commands/agent.ts';
import { addBackendStateCommands } from './commands/backend-state.ts';
import { addConfigCommand } from './commands/config.ts';
import { addDemoCommand } from './commands/demo.ts';
import { addGatewayCommand } from './commands/gateway.ts';
import { addSessionCommand, withIdBehindOptions } from './commands/session.ts';
import { addStatusCommand } from './commands/status.ts';
import { errorText } from './error-text.ts';
import { CommandError, EXIT } from './exit-status.ts';
import type { Terminal } from './terminal.ts';
import { packageVersion } from './version.ts';

const FOOTER = `
Exit status: 0 done; 1 failed, or a check found something; 2 wrong command line or configuration.
Every setting can come from the environment: docs/configuration.md.`;

/**
 * Runs one command line, without the program's name.
 *
 * @returns exit status
 */
export async function runCli(args: readonly string[], terminal: Terminal): Promise<number> {
  let status: number = EXIT.ok;
  const version = packageVersion();
  const finish = (result: number) => {
    status = result;
  };
  try {
    const program = createProgram({ terminal, version, finish });
    await program.parseAsync([...withIdBehindOptions(args)], { from: 'user' });
    return status;
  } catch (error) {
    return report(error, terminal);
  }
}

function createProgram(context: CommandContext): Command {
  const { terminal, version } = context;
  const program = new Command('stickshift')
    .description('Sticky sessions whose users keep them when an app server dies, drains or is deployed.')
    .version(version)
    .showHelpAfterError('(see --help)')
    .addHelpText('after', FOOTER)
    .configureOutput({ writeOut: terminal.out, writeErr: terminal.err })
    // Commands inherit these settings only when they are added after them.
    .exitOverride();
  addGatewayCommand(program, context);
  addAgentCommand(program, context);
  addStatusCommand(program, context);
  addBackendStateCommands(program, context);
  addSessionCommand(program, context);
  addConfigCommand(program, context);
  addDemoCommand(program, context);
  return program;
}

function report(error: unknown, terminal: Terminal): number {
  if (error instanceof CommanderError) {
    // Commander has written its message already. Help that was asked for is no error; help instead of a command is.
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
  if (error instanceof CommandError) {
    terminal.err(`${error.message}\n`);
    return error.status;
  }
  if (error instanceof StickshiftError) {
    terminal.err(`${errorText(error)}\n`);
    return error.code === 'CONFIG_INVALID' ? EXIT.usage : EXIT.failed;
  }
  // Not foreseen: whoever mends it needs the stack.
  terminal.err(`${error instanceof Error ? error.stack : String(error)}\n`);
  return EXIT.failed;
}
