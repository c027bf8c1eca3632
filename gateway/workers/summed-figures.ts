import { type CounterValues, GatewayCounters } from '../counters.ts';
import type { Figures } from '../data-plane/data-plane.ts';
import type { WorkerReport } from './messages.ts';
import { sumOf, type Tally } from './tally.ts';

type Counted = Pick<Figures, 'counters' | 'oddSessionIds'>;

const NOTHING: Counted = { counters: new GatewayCounters(), oddSessionIds: {} };

/** Sums over workers, those that have died among them: a counter never goes back. */
export class SummedFigures {
  #ofTheDead: Counted = NOTHING;

  /** Keeps what one had counted that counts no more. */
  bury(report: WorkerReport | undefined): void {
    if (report) this.#ofTheDead = sumOfCounted([this.#ofTheDead, report]);
  }

  with(reports: readonly WorkerReport[]): Omit<Figures, 'workers'> {
    return {
      ...sumOfCounted([this.#ofTheDead, ...reports]),
      webSockets: reports.reduce((total, { webSockets }) => total + webSockets, 0),
      // Each reads the same files.
      certificates: reports[0]?.certificates,
    };
  }
}

function sumOfCounted(all: readonly Counted[]): Counted {
  const counters = sumOf(all.map((each) => each.counters as unknown as Tally));
  return {
    counters: counters as unknown as CounterValues,
    oddSessionIds: sumOf(all.map(({ oddSessionIds }) => oddSessionIds)) as Figures['oddSessionIds'],
  };
}
