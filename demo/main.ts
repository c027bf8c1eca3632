import { StickshiftError } from '../protocol/errors.ts';
import { runCheck } from './check/check.ts';
import { type CheckReport, formatTable, passed } from './check/report.ts';
import { removeDemoState, writeDemoState } from './control/state-file.ts';
import { Demo } from './demo.ts';
import type { DemoOptions } from './options.ts';

export { listBackends, performDeed } from './control/control-client.ts';
export type { BackendView, Deed } from './control/control-server.ts';
export type { DemoOptions } from './options.ts';

const FEWEST_FOR_CHECK = 3;
const INTERRUPTED = 130;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const ONE_INTERRUPTION_MS = 500;

/**
 * Runs the demo until it is interrupted, or the check until it is done, and cleans up.
 *
 * @returns exit status: 0; 1 when the check found anything wrong, or the gateway ended by itself; 130 for a check that was
 * interrupted
 * @throws StickshiftError when it cannot start; `PORT_IN_USE` names the option to change
 */
export async function runDemo(options: DemoOptions): Promise<number> {
  if (options.check && options.backends !== undefined && options.backends < FEWEST_FOR_CHECK) {
    throw new StickshiftError(
      'CONFIG_INVALID',
      `--check kills one server and drains another; it needs --backends ${FEWEST_FOR_CHECK} or more`,
    );
  }
  const say = options.json ? () => undefined : (line: string) => process.stdout.write(`${line}\n`);
  const interruption = listenForInterruption();
  const gatewayLost = Promise.withResolvers<string>();
  const end = Promise.race([
    interruption.interrupted.then(() => (options.check ? INTERRUPTED : 0)),
    gatewayLost.promise.then((how) => {
      process.stderr.write(`The gateway ${how}.\n`);
      return 1;
    }),
  ]);

  const demo = await Demo.prepare(options, {
    onNotice: say,
    // The check tells of what it does itself.
    onDeed: options.check ? () => undefined : say,
    onGatewayLost: gatewayLost.resolve,
  });
  let outcome: CheckReport | number;
  try {
    say('Starting gateway, shops and agents …');
    const endedEarly = await Promise.race([demo.start(), end]);
    if (endedEarly !== undefined) outcome = endedEarly;
    else if (options.check) outcome = await Promise.race([check(demo, say), end]);
    else outcome = await present(demo, options, say, end);
  } finally {
    await demo.stop();
    interruption.ignore();
  }

  if (typeof outcome === 'number') return outcome;
  say(`\n${formatTable(outcome)}\n`);
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
  return passed(outcome) ? 0 : 1;
}

function check(demo: Demo, say: (line: string) => void): Promise<CheckReport> {
  const { gatewayUrl, storeUrl } = demo.describe();
  say(`Checking ${gatewayUrl} on ${storeKind(storeUrl)}`);
  return runCheck({ shopUrl: gatewayUrl, deeds: demo, progress: say });
}

async function present(
  demo: Demo,
  options: DemoOptions,
  say: (line: string) => void,
  end: Promise<number>,
): Promise<number> {
  const directory = process.cwd();
  const state = demo.describe();
  await writeDemoState(directory, state);
  try {
    if (options.json) {
      const { gatewayUrl, adminUrl, stateDirectory, processes } = state;
      process.stdout.write(`${JSON.stringify({ gatewayUrl, adminUrl, stateDirectory, processes })}\n`);
    }
    const backends = await demo.backends();
    say(`
  Shop       ${state.gatewayUrl}
  Admin API  ${state.adminUrl}/v1/status
  Store      ${storeKind(state.storeUrl)}
  Servers    ${backends.map(({ id }) => id).join(', ')}, each with its session agent
  Logs       ${state.stateDirectory}/logs

What to try:
  1. Open the shop, put something into the cart, log in.
  2. Kill the server that the page names, and its agent:  npx stickshift demo kill app-2
     (or the button on the page; it is a real SIGKILL).
  3. Reload: the cart is there, and the page says which server answers now and where the session came from.
  4. Bring it back:  npx stickshift demo restart app-2

Ctrl-C ends the demo and everything it started.
`);
    const status = await end;
    say('Stopping …');
    return status;
  } finally {
    await removeDemoState(directory, state.pid);
  }
}

/** Resolves `interrupted` at the first SIGINT, SIGTERM or SIGHUP; a later one ends the process at once. */
function listenForInterruption(): { interrupted: Promise<void>; ignore(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  let firstAt: number | undefined;
  const onSignal = () => {
    firstAt ??= performance.now();
    // The terminal tells every process of Ctrl-C, and npm then passes it on: twice at once is asked once.
    // The supervisor kills what is left when the process exits.
    if (performance.now() - firstAt > ONE_INTERRUPTION_MS) process.exit(1);
    resolve();
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return {
    interrupted: promise,
    ignore() {
      for (const signal of SIGNALS) process.removeListener(signal, onSignal);
    },
  };
}

function storeKind(url: string): string {
  return url.startsWith('sqlite:') ? 'SQLite' : 'Redis';
}
