import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkHistory } from './checker/check-history.ts';
import { Population } from './clients/population.ts';
import { CONTROL_SETTINGS, DRILLS } from './controls/controls.ts';
import type { Policies } from './faults/fault.ts';
import { FAULT_KINDS } from './faults/kinds.ts';
import { playRound } from './faults/play-round.ts';
import { type Round, schedule } from './faults/schedule.ts';
import { HistoryRecorder } from './history/history.ts';
import { Installation } from './installation/installation.ts';
import type { ChaosOptions } from './options.ts';
import { seededRandom } from './random.ts';
import { type ChaosReport, isBroken, makeReport } from './report/report.ts';
import { untilSettled } from './settled.ts';

export interface ChaosEvents {
  /** One line for whoever watches. */
  readonly onProgress: (line: string) => void;
}

const PROGRESS_MS = 5_000;

/**
 * One run from start to report. Everything it started has ended when this resolves or rejects; its directory is gone, unless
 * something was wrong or it is to be kept.
 */
export async function runChaos(
  options: ChaosOptions,
  { onProgress }: ChaosEvents,
  signal: AbortSignal,
): Promise<ChaosReport> {
  const directory = await mkdtemp(join(tmpdir(), 'stickshift-chaos-'));
  const random = seededRandom(options.seed);
  const history = new HistoryRecorder();
  const control = CONTROL_SETTINGS[options.control];
  const drill = options.drill && DRILLS[options.drill];
  const policies = control.policies(policiesOf(options));
  const problems: string[] = [];
  const skipped: string[] = [];
  const say = (line: string) => onProgress(`${(history.now() / 1000).toFixed(1).padStart(7)} s  ${line}`);
  const onProblem = (message: string) => {
    problems.push(message);
    say(`PROBLEM ${message}`);
  };

  const installation = await Installation.start({
    directory,
    policies,
    ...(control.agentPreload && { agentPreload: control.agentPreload }),
    workers: options.workers,
    logLevel: options.logLevel,
    onCommit: (commit) => history.addCommit(commit),
    onUnexpectedExit: (name, how) => onProblem(`${name} ${how}, and nobody had asked it to`),
  });
  const population = new Population({
    clients: options.clients,
    ...(drill?.patienceMs && { patienceMs: drill.patienceMs }),
    ...(drill?.habits && { habits: drill.habits }),
    installation,
    history,
    random,
  });
  const progress = setInterval(() => say(progressOf(history)), PROGRESS_MS);
  const settle = async (clients?: Population) => {
    const wrong = await untilSettled(installation, clients, history, signal);
    if (wrong !== undefined) onProblem(`not well again: ${wrong}`);
  };
  try {
    await settle();
    population.start();
    await settle(population);
    const until = history.now() + options.minutes * 60_000;
    const over = AbortSignal.any([signal, AbortSignal.timeout(options.minutes * 60_000)]);
    for (const round of drill ? repeated(drill.rounds) : available()) {
      if (history.now() >= until || signal.aborted) break;
      if (round.storeForgets) await population.readLeftSessions();
      await playRound(
        round,
        installation,
        history,
        {
          onBegin: ({ kind, target, variant = '', durationMs }) =>
            say(`${kind} ${target} ${variant} for ${(durationMs / 1000).toFixed(1)} s`),
          onProblem,
        },
        over,
      );
      await settle(population);
    }
    if (!signal.aborted) await population.finish();
  } finally {
    clearInterval(progress);
    await population.stop();
    await installation.stop();
    if (signal.aborted) await rm(directory, { recursive: true, force: true });
  }

  signal.throwIfAborted();
  const report = makeReport({
    options,
    policies,
    history,
    verdict: checkHistory(history),
    problems,
    skipped,
  });
  if (!isBroken(report) && !options.keep) {
    await rm(directory, { recursive: true, force: true });
    return report;
  }
  await history.write(join(directory, 'history.jsonl'));
  return { ...report, directory };

  function available(): Generator<Round> {
    const chosen = FAULT_KINDS.filter(({ name }) => options.faults.includes(name));
    const possible = chosen.filter((kind) => {
      const reason = kind.unavailable?.(installation);
      if (reason !== undefined) skipped.push(`${kind.name}: ${reason}`);
      return reason === undefined;
    });
    return schedule(random.fork('faults'), possible, policies);
  }
}

function policiesOf({ onStoreDown, drill }: ChaosOptions): Policies {
  const promised = { durability: 'ack', hold: 'writes' } as const;
  return {
    // A drill kills nodes whose way to the store is slow: on a machine under load it may seem to be away for a moment.
    express: { ...promised, onStoreDown: onStoreDown ?? (drill === undefined ? 'serve' : 'refuse') },
    php: { ...promised, onStoreDown: onStoreDown ?? 'refuse' },
  };
}

function* repeated(rounds: readonly Round[]): Generator<Round> {
  for (;;) yield* rounds;
}

function progressOf({ operations, outcomes, faults }: HistoryRecorder): string {
  const { ok, refused, indeterminate } = outcomes;
  return `${operations.length} operations, ${ok} acknowledged, ${refused} refused, ${indeterminate} indeterminate, ${faults.length} faults`;
}
