import type { RecordSummary } from '../../store/snapshot-store.ts';
import type { Loss } from './recent-losses.ts';

/** How the record takes a session from a backend that has it in `epoch`; `undefined` when it does not. */
export function lossBy(record: RecordSummary, epoch: number, backend: string): Loss | undefined {
  if (record.state === 'ended') return 'ended';
  // Epochs come from the store alone: it has forgotten that it gave us ours.
  if (record.epoch < epoch) return undefined;
  const isOurs = record.epoch === epoch && record.owner === backend && record.state === 'active';
  return isOurs ? undefined : 'fenced';
}
