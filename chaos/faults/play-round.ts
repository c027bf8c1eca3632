import { setTimeout as sleep } from 'node:timers/promises';
import type { HistoryRecorder } from '../history/history.ts';
import type { Installation } from '../installation/installation.ts';
import type { FaultPlan } from './fault.ts';
import { faultKind } from './kinds.ts';
import type { Round } from './schedule.ts';

export interface RoundEvents {
  readonly onBegin: (plan: FaultPlan) => void;
  /** A fault could not be begun, or what it took could not be brought back. */
  readonly onProblem: (message: string) => void;
}

/** Resolves when every fault of the round has begun and has been undone. An aborted signal shortens them. */
export async function playRound(
  { faults }: Round,
  installation: Installation,
  history: HistoryRecorder,
  events: RoundEvents,
  signal: AbortSignal,
): Promise<void> {
  await Promise.all(faults.map((plan) => playFault(plan, installation, history, events, signal)));
}

async function playFault(
  plan: FaultPlan,
  installation: Installation,
  history: HistoryRecorder,
  { onBegin, onProblem }: RoundEvents,
  signal: AbortSignal,
): Promise<void> {
  const pause = (ms: number) => sleep(ms, undefined, { signal }).catch(() => undefined);
  await pause(plan.startMs);
  if (signal.aborted) return;
  const { kind, target, variant } = plan;
  const what = [kind, target, variant].filter(Boolean).join(' ');
  onBegin(plan);
  const from = history.now();
  try {
    const undo = await faultKind(kind).begin(installation, plan);
    await pause(plan.durationMs);
    await undo();
  } catch (error) {
    onProblem(`${what}: ${error instanceof Error ? error.message : String(error)}`);
  }
  const { concerns } = faultKind(kind).effects(plan);
  history.addFault({ kind, target, variant, concerns, from, to: history.now() });
}
