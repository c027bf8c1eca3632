import type { AgentReadiness, AgentStatus } from '../protocol/agent-api.ts';
import type { Journal } from './journal/journal.ts';
import type { SessionAgent } from './session-agent.ts';
import type { SessionSource } from './sources/session-source.ts';

/** What `GET /v1/status` says. */
export function agentStatus(
  agent: SessionAgent,
  journal: Journal,
  { readiness, source }: { readonly readiness: AgentReadiness; readonly source: SessionSource },
): AgentStatus {
  const { owned, counters } = agent;
  const { snapshot, logout, tombstone } = journal.counts;
  return {
    ...readiness,
    source: source.kind,
    sessions: owned.size,
    dirty: owned.dirty.size,
    unprotected: owned.unprotected,
    atRisk: snapshot,
    exposureMs: Math.round(owned.exposureMs()),
    store: agent.store,
    commits: { ...counters.commits },
    journal: {
      bytes: journal.bytes,
      entries: snapshot + logout + tombstone,
      failures: journal.failures,
      replayed: counters.replayed,
      lostAtTakeover: counters.lostAtTakeover,
    },
    reseeded: counters.reseeded,
  };
}
