import type { Backend } from '../backends/backend.ts';

/** What those who serve requests tell of backends. Health is made of it, together with the checks. */
export interface BackendReports {
  /** A request could not connect to the app server. */
  connectFailed(backend: Backend, error: Error): void;
  /** The app server broke a connection before it answered. */
  backendReset(backend: Backend): void;
  /** The app server answered a request. Cheap enough for every request. */
  succeeded(backend: Backend): void;
  /** Whether the app server is alive, by a check made after this call; those who ask at once share one. */
  probeApp(backend: Backend): Promise<boolean>;
  /** The agent answered a call, and said in which of its lives. */
  agentAnswered(backend: Backend, incarnation: string): void;
  /** The agent refused a connection or left a call unanswered. */
  agentFailed(backend: Backend): void;
}
