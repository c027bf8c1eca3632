import { type BatchObservableCallback, metrics } from '@opentelemetry/api';
import { METRIC } from '../protocol/telemetry-names.ts';
import type { SessionAgent } from './session-agent.ts';

/** Shows the agent's numbers to whoever collects metrics; returns how to stop that. Costs nothing between collections. */
export function observeAgent(agent: SessionAgent): () => void {
  const meter = metrics.getMeter('stickshift');
  const sessions = meter.createObservableGauge(METRIC.sessions, {
    description: 'Sessions that this agent owns',
  });
  const dirty = meter.createObservableGauge(METRIC.dirty, {
    description: 'Sessions with uncommitted changes',
  });
  const unprotected = meter.createObservableGauge(METRIC.unprotected, {
    description: 'Sessions that are not saved',
  });
  const exposure = meter.createObservableGauge(METRIC.exposure, {
    description: 'Age of the oldest uncommitted change',
    unit: 'ms',
  });
  const commits = meter.createObservableCounter(METRIC.commits, { description: 'Commits by outcome' });
  const adopts = meter.createObservableCounter(METRIC.adopts, { description: 'Adopts by outcome' });
  const observables = [sessions, dirty, unprotected, exposure, commits, adopts];

  const observe: BatchObservableCallback = (result) => {
    result.observe(sessions, agent.owned.size);
    result.observe(dirty, agent.owned.dirty.size);
    result.observe(unprotected, agent.owned.unprotected);
    result.observe(exposure, agent.owned.exposureMs());
    for (const [outcome, count] of Object.entries(agent.counters.commits))
      result.observe(commits, count, { outcome });
    for (const [outcome, count] of Object.entries(agent.counters.adopts))
      result.observe(adopts, count, { outcome });
  };
  meter.addBatchObservableCallback(observe, observables);
  return () => meter.removeBatchObservableCallback(observe, observables);
}
