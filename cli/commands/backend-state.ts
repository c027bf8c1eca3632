import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { parseDuration } from '../../config/units.ts';
import type { AdminState, DrainProgress, StateAnswer } from '../../gateway/admin-api/admin-api-types.ts';
import { type AdminOptions, connectToGateway, whichGateway, withAdminOptions } from '../admin-access.ts';
import type { AdminClient } from '../admin-client.ts';
import type { CommandContext } from '../command-context.ts';
import { describeDrain } from '../drain-report.ts';
import { CommandError, EXIT } from '../exit-status.ts';
import { readableDuration } from '../readable.ts';
import type { Terminal } from '../terminal.ts';

const POLL_MS = 250;
/** Between two lines of progress where they cannot overwrite each other. */
const LINE_EVERY_MS = 5_000;

interface StateOptions extends AdminOptions {
  readonly pool?: string;
  readonly json?: boolean;
  /** Milliseconds. */
  readonly deadline?: number;
  readonly wait?: boolean;
}

const DESCRIPTIONS: Readonly<Record<AdminState, string>> = {
  ready: 'give a backend clients again, at every gateway',
  drain: 'give a backend no new clients and move its sessions away as their requests end, at every gateway',
  maintenance: 'move the sessions of a backend away at once, at every gateway',
};

/** `ready`, `drain` and `maintenance`: what an operator can ask of a backend. */
export function addBackendStateCommands(program: Command, context: CommandContext): void {
  for (const state of ['drain', 'maintenance', 'ready'] as const) {
    const command = withAdminOptions(program.command(state))
      .description(DESCRIPTIONS[state])
      .argument('<backend>', 'ID of the backend')
      .option('--pool <name>', 'its pool, where two pools have a backend of that name')
      .option('--json', 'print the gateway’s (last) answer as JSON');
    if (state !== 'ready') {
      command.option('--wait', 'wait until it is drained; exit status 1 if sessions or requests are left');
    }
    if (state === 'drain') {
      command.option(
        '--deadline <duration>',
        'how long requests and WebSockets may go on, such as 30s (default: gateway.drain.deadline)',
        durationArgument,
      );
    }
    command.action(async (backend: string, options: StateOptions) => {
      context.finish(await changeState(backend, state, options, context.terminal));
    });
  }
}

async function changeState(
  backend: string,
  state: AdminState,
  options: StateOptions,
  terminal: Terminal,
): Promise<number> {
  const gateway = await connectToGateway(options, terminal.env);
  const { pool, deadline: deadlineMs } = options;
  let answer = await gateway.setState(backend, {
    state,
    ...(pool !== undefined && { pool }),
    ...(deadlineMs !== undefined && { deadlineMs }),
  });
  if (options.wait) answer = await untilEnded(answer, gateway, options.json ? undefined : terminal);
  terminal.out(
    options.json ? `${JSON.stringify(answer)}\n` : `${describe(answer)}${whichGateway(gateway)}\n`,
  );
  return answer.drain?.state === 'incomplete' ? EXIT.failed : EXIT.ok;
}

function describe({ backend, adminState, drain }: StateAnswer): string {
  if (drain?.state === 'complete' || drain?.state === 'incomplete') {
    return describeDrain(backend, drain, Date.now());
  }
  if (adminState === 'ready' || !drain) return `${backend} is ${adminState}.`;
  const left = drain.deadlineAt - Date.now();
  const when = left > 0 ? `its sessions move within ${readableDuration(left)}` : 'its sessions move now';
  return `${backend} gets no new clients; ${when}. Follow it with "stickshift status", or use --wait.`;
}

async function untilEnded(
  first: StateAnswer,
  gateway: AdminClient,
  terminal: Terminal | undefined,
): Promise<StateAnswer> {
  const progress = terminal && new ProgressLine(terminal);
  let answer = first;
  for (;;) {
    const { drain } = answer;
    if (!drain) {
      progress?.end();
      throw new CommandError(
        `Somebody has made ${first.backend} ${answer.adminState} in the meantime; it is not drained.`,
      );
    }
    if (drain.state === 'complete' || drain.state === 'incomplete') break;
    progress?.show(answer.backend, drain);
    await sleep(POLL_MS);
    answer = await gateway.drain(answer.backend, answer.pool);
  }
  progress?.end();
  return answer;
}

/** One line that keeps up to date on a terminal; a line now and then in a log. */
class ProgressLine {
  readonly #terminal: Terminal;
  #shownAt = Number.NEGATIVE_INFINITY;
  #width = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  show(backend: string, drain: DrainProgress): void {
    const line = describeDrain(backend, drain, Date.now());
    if (this.#terminal.interactive) {
      this.#terminal.err(`\r${line.padEnd(this.#width)}`);
      this.#width = line.length;
    } else if (performance.now() - this.#shownAt >= LINE_EVERY_MS) {
      this.#terminal.err(`${line}\n`);
      this.#shownAt = performance.now();
    }
  }

  end(): void {
    if (this.#width > 0) this.#terminal.err(`\r${' '.repeat(this.#width)}\r`);
  }
}

function durationArgument(text: string): number {
  const duration = parseDuration(text);
  if (duration === undefined) throw new InvalidArgumentError('Expected a duration with a unit, such as 30s.');
  return duration;
}
