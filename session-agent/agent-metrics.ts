import { type BatchObservableCallback, metrics } from '@opentelemetry/api';
import { METRIC } from '../protocol/telemetry-names.ts';
import type { Journal } from './journal/journal.ts';
import type { SessionAgent } from './session-agent.ts';

/** Shows the agent's numbers to whoever collects metrics; returns how to stop that. Costs nothing between collections. */
export function observeAgent(agent: SessionAgent, journal: Journal): () => void {
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
  const atRisk = meter.createObservableGauge(METRIC.atRisk, {
    description: 'Sessions whose newest changes are only in the agent’s journal',
  });
  const journalBytes = meter.createObservableGauge(METRIC.journalBytes, {
    description: 'Size of the agent’s journal',
    unit: 'By',
  });
  const journalFailures = meter.createObservableCounter(METRIC.journalFailures, {
    description: 'Writes to the journal that failed or found it full',
  });
  const replayed = meter.createObservableCounter(METRIC.replayed, {
    description: 'Entries of the journal brought to the store after a start',
  });
  const lostAtTakeover = meter.createObservableCounter(METRIC.lostAtTakeover, {
    description: 'Sessions whose journaled changes came too late',
  });
  const reseeded = meter.createObservableCounter(METRIC.reseeded, {
    description: 'Sessions and tombstones given again to a store that had lost data',
  });
  const storeUp = meter.createObservableGauge(METRIC.agentStoreUp, {
    description: 'Whether this agent reaches the store',
  });
  const leases = meter.createObservableGauge(METRIC.leases, { description: 'Gateways that hold a lease' });
  const recalls = meter.createObservableCounter(METRIC.recalls, {
    description: 'Recalls of sessions from gateways',
  });
  const recallTime = meter.createObservableCounter(METRIC.recallTime, {
    description: 'Time waited until gateways let go of recalled sessions',
    unit: 'ms',
  });
  const leasesLapsed = meter.createObservableCounter(METRIC.leasesLapsed, {
    description: 'Leases that ran out while a recall waited for them',
  });
  const observables = [
    ...[sessions, dirty, unprotected, exposure, commits, adopts],
    ...[atRisk, journalBytes, journalFailures, replayed, lostAtTakeover, reseeded],
    ...[storeUp, leases, recalls, recallTime, leasesLapsed],
  ];

  const observe: BatchObservableCallback = (result) => {
    result.observe(sessions, agent.owned.size);
    result.observe(dirty, agent.owned.dirty.size);
    result.observe(unprotected, agent.owned.unprotected);
    result.observe(exposure, agent.owned.exposureMs());
    result.observe(atRisk, journal.counts.snapshot);
    result.observe(journalBytes, journal.bytes);
    result.observe(journalFailures, journal.failures);
    result.observe(replayed, agent.counters.replayed);
    result.observe(lostAtTakeover, agent.counters.lostAtTakeover);
    result.observe(reseeded, agent.counters.reseeded);
    result.observe(storeUp, agent.store === 'ok' ? 1 : 0);
    result.observe(leases, agent.leases.held);
    result.observe(recalls, agent.leases.counts.recalls);
    result.observe(recallTime, agent.leases.counts.waitedMs);
    result.observe(leasesLapsed, agent.leases.lapsed);
    for (const [outcome, count] of Object.entries(agent.counters.commits))
      result.observe(commits, count, { outcome });
    for (const [outcome, count] of Object.entries(agent.counters.adopts))
      result.observe(adopts, count, { outcome });
  };
  meter.addBatchObservableCallback(observe, observables);
  return () => meter.removeBatchObservableCallback(observe, observables);
}
