import type { Backend } from '../backends/backend.ts';
import { AppProbe } from '../health/app-probe.ts';
import type { BackendReports } from '../health/backend-reports.ts';
import { type BackendState, type FromWorker, nameOf } from './messages.ts';

/**
 * Backends and their health as a worker has them: tells the control plane what requests tell of them, and
 * takes in what it makes of that.
 */
export class ReportedHealth implements BackendReports {
  readonly #send: (message: FromWorker) => void;
  /** Against which nothing is held, as far as this worker knows. */
  readonly #clean = new Set<Backend>();
  readonly #probes = new Map<Backend, AppProbe>();
  readonly #questions = new Map<number, (isAlive: boolean) => void>();
  #asked = 0;

  constructor(send: (message: FromWorker) => void) {
    this.#send = send;
  }

  /** @param distrust - bindings made so far are not trusted any more */
  learn(backend: Backend, { isClean, ...state }: BackendState, distrust: boolean): void {
    Object.assign(backend, state);
    if (isClean) this.#clean.add(backend);
    else this.#clean.delete(backend);
    if (distrust) backend.lease.distrust();
  }

  connectFailed(backend: Backend, { message }: Error): void {
    this.#send({ type: 'connect-failed', backend: nameOf(backend), reason: message });
  }

  backendReset(backend: Backend): void {
    this.#send({ type: 'backend-reset', backend: nameOf(backend) });
  }

  succeeded(backend: Backend): void {
    if (this.#clean.has(backend)) return;
    // During an ejection it would not count, and is not to be the one that is sent.
    if (Date.now() < backend.ejectedUntil) return;
    this.#clean.add(backend);
    this.#send({ type: 'succeeded', backend: nameOf(backend) });
  }

  probeApp(backend: Backend): Promise<boolean> {
    let probe = this.#probes.get(backend);
    if (!probe) {
      // Of each backend, one question is out at a time, however many requests have it.
      probe = new AppProbe(() => this.#askWhetherAlive(backend));
      this.#probes.set(backend, probe);
    }
    return probe.isAlive();
  }

  /** The answer to a question of {@link probeApp}. */
  probed(number: number, isAlive: boolean): void {
    this.#questions.get(number)?.(isAlive);
    this.#questions.delete(number);
  }

  agentAnswered(backend: Backend, incarnation: string): void {
    if (backend.incarnation === incarnation) return;
    const isRestart = backend.incarnation !== '';
    // At once: what is sent from now on must name the life that will answer it.
    backend.incarnation = incarnation;
    if (isRestart) distrust(backend);
    this.#send({ type: 'agent-answered', backend: nameOf(backend), incarnation });
  }

  agentFailed(backend: Backend): void {
    // At once: the request that found out looks for another backend now. What the control plane makes of it
    // follows.
    if (backend.agentUp) {
      backend.agentUp = false;
      if (backend.appUp) distrust(backend);
    }
    this.#send({ type: 'agent-failed', backend: nameOf(backend) });
  }

  #askWhetherAlive(backend: Backend): Promise<boolean> {
    this.#asked += 1;
    const number = this.#asked;
    this.#send({ type: 'probe-app', number, backend: nameOf(backend) });
    return new Promise((resolve) => this.#questions.set(number, resolve));
  }
}

function distrust(backend: Backend): void {
  backend.upSince = Math.max(Date.now(), backend.ejectedUntil);
  backend.lease.distrust();
}
