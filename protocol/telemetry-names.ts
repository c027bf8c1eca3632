/** Spans. A failover is one trace: request → handoff → (agent) adopt → store. */
export const SPAN = {
  handoff: 'session.handoff',
  adopt: 'session.adopt',
  release: 'session.release',
  commit: 'session.commit',
  store: 'session.store',
} as const;

/** Attributes on spans and log lines. The session key never becomes a metric label. */
export const ATTRIBUTE = {
  sessionKey: 'stickshift.session.key',
  pool: 'stickshift.pool',
  backend: 'stickshift.backend',
  reason: 'stickshift.handoff.reason',
  from: 'stickshift.handoff.from',
  to: 'stickshift.handoff.to',
  epoch: 'stickshift.session.epoch',
  seq: 'stickshift.session.seq',
  possiblyLost: 'stickshift.handoff.possibly_lost',
  outcome: 'stickshift.outcome',
  operation: 'stickshift.store.operation',
  snapshotAgeMs: 'stickshift.snapshot.age_ms',
  snapshotSize: 'stickshift.snapshot.size',
} as const;

/** Metrics of gateway and agent. */
export const METRIC = {
  requests: 'stickshift.gateway.requests',
  responses: 'stickshift.gateway.responses',
  moves: 'stickshift.gateway.moves',
  takeovers: 'stickshift.gateway.takeovers',
  held: 'stickshift.gateway.held',
  holdTime: 'stickshift.gateway.hold_time_ms',
  answersChecked: 'stickshift.gateway.answers_checked',
  retries: 'stickshift.gateway.retries',
  lookups: 'stickshift.gateway.lookups',
  errors: 'stickshift.gateway.errors',
  affinityRefused: 'stickshift.gateway.affinity_refused',
  oddSessionIds: 'stickshift.gateway.odd_session_ids',
  clientAborts: 'stickshift.gateway.client_aborts',
  unprotectedAnswers: 'stickshift.gateway.unprotected_answers',
  inFlight: 'stickshift.gateway.in_flight',
  backendUp: 'stickshift.gateway.backend_up',
  sessions: 'stickshift.agent.sessions',
  dirty: 'stickshift.agent.dirty',
  unprotected: 'stickshift.agent.unprotected',
  exposure: 'stickshift.agent.exposure_ms',
  commits: 'stickshift.agent.commits',
  adopts: 'stickshift.agent.adopts',
  atRisk: 'stickshift.agent.at_risk',
  journalBytes: 'stickshift.agent.journal_bytes',
  journalFailures: 'stickshift.agent.journal_failures',
  replayed: 'stickshift.agent.replayed',
  lostAtTakeover: 'stickshift.agent.lost_at_takeover',
  reseeded: 'stickshift.agent.reseeded',
} as const;
