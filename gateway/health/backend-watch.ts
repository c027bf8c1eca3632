import { Agent } from 'node:http';
import type { Logger } from 'pino';
import type { Backend } from '../backends/backend.ts';
import type { Pool } from '../backends/pool.ts';
import { checkAgent } from './agent-check.ts';
import { type CheckOptions, checkApp } from './app-check.ts';
import { AppProbe } from './app-probe.ts';
import { CheckLoop } from './check-loop.ts';
import type { CheckResult } from './check-result.ts';
import { Ejection } from './ejection.ts';
import { Verdict } from './verdict.ts';

/** How the two halves of a backend are called in the log. */
const PARTS = { app: 'app server', agent: 'session agent' } as const;
type Part = keyof typeof PARTS;

export interface BackendWatchOptions {
  readonly backend: Backend;
  readonly pool: Pool;
  readonly agentToken: string;
  readonly logger: Logger;
  readonly now: () => number;
  /** Called after every change of the backend's health. */
  readonly changed: (backend: Backend) => void;
}

/** Watches one backend: checks of its app server and of its agent, and what requests tell of it. */
export class BackendWatch {
  readonly #backend: Backend;
  readonly #pool: Pool;
  readonly #agentToken: string;
  readonly #log: Logger;
  readonly #now: () => number;
  readonly #changed: (backend: Backend) => void;
  readonly #verdicts: Readonly<Record<Part, Verdict>>;
  readonly #loops: Readonly<Record<Part, CheckLoop>>;
  readonly #ejection: Ejection;
  readonly #probe = new AppProbe(() => this.#isAppAlive());
  // Of its own: a check must neither wait for a connection that requests use nor be answered over one of them.
  readonly #connections = new Agent({ keepAlive: true, maxSockets: 2 });
  readonly #stopping = new AbortController();
  #ejectionTimer: NodeJS.Timeout | undefined;
  #mismatchLogged = false;
  #loneFailureLogged = false;

  constructor(options: BackendWatchOptions) {
    const { health, ejection } = options.pool.config;
    this.#backend = options.backend;
    this.#pool = options.pool;
    this.#agentToken = options.agentToken;
    this.#log = options.logger.child({ pool: options.pool.name, backend: options.backend.id });
    this.#now = options.now;
    this.#changed = options.changed;
    this.#verdicts = { app: new Verdict(health), agent: new Verdict(health) };
    this.#loops = {
      app: new CheckLoop((prompted) => this.#check('app', prompted), health.interval),
      agent: new CheckLoop((prompted) => this.#check('agent', prompted), health.interval),
    };
    this.#ejection = new Ejection(ejection);
  }

  /** Resolves when app server and agent have been checked once. */
  async start(): Promise<void> {
    this.#distrustBindings();
    await Promise.all([this.#loops.app.start(), this.#loops.agent.start()]);
  }

  stop(): void {
    this.#stopping.abort();
    this.#loops.app.stop();
    this.#loops.agent.stop();
    clearTimeout(this.#ejectionTimer);
    this.#connections.destroy();
  }

  /** A request could not connect, or its connection broke before the answer. */
  appFailed(reason: string): void {
    this.#loops.app.prompt();
    const backend = this.#backend;
    // Requests that were sent before an ejection, or to a backend known to be down, tell nothing new.
    if (!backend.appUp || this.#now() < backend.ejectedUntil || !this.#ejection.failed()) return;
    if (!this.#anotherAccepts()) {
      // Failed requests are circumstantial: the trouble may be this gateway's own, and then all backends look bad. With
      // nobody else to go to, an ejection would turn some failures into nothing but failures; the active checks decide.
      if (!this.#loneFailureLogged)
        this.#log.warn({ reason }, 'not ejected: no other backend accepts clients');
      this.#loneFailureLogged = true;
      return;
    }
    this.#eject(reason);
  }

  /** True when {@link BackendWatch.appSucceeded} would change nothing. */
  get isClean(): boolean {
    return this.#ejection.isClean;
  }

  /** Called for every request that was answered, so it does next to nothing when all is well. */
  appSucceeded(): void {
    if (this.#ejection.isClean) return;
    // The end of a request from before the ejection does not show that the backend takes new ones.
    if (this.#now() < this.#backend.ejectedUntil) return;
    this.#ejection.succeeded();
    this.#loneFailureLogged = false;
  }

  /** Whether the app server is alive now, by a check made after this call. */
  probeApp(): Promise<boolean> {
    return this.#probe.isAlive();
  }

  /** Learns of a restart, from a check or from the answer to a call. */
  agentAnswered(incarnation: string): void {
    const backend = this.#backend;
    if (backend.incarnation === incarnation) return;
    const isRestart = backend.incarnation !== '';
    backend.incarnation = incarnation;
    if (!isRestart) return;
    // It may have been away for less than the pause between two checks; what it held before is not known to be there.
    this.#distrustBindings();
    this.#log.info({ part: 'agent', incarnation }, 'session agent has restarted');
    this.#changed(backend);
  }

  /**
   * Down at once, without waiting for `fall` checks: without its agent no held write can be committed there and no session
   * can be rehydrated, so every request sent meanwhile would end in an error. The check that follows decides: a false alarm
   * costs one round trip.
   */
  agentFailed(): void {
    this.#loops.agent.prompt();
    // What took the agent may have taken the app: who waits for the agent to come back must know when there is no point.
    this.#loops.app.prompt();
    if (!this.#verdicts.agent.doubt()) return;
    this.#log.warn({ part: 'agent', reason: 'a call failed' }, `${PARTS.agent} is down`);
    this.#publish();
  }

  async #isAppAlive(): Promise<boolean> {
    const { health } = this.#pool.config;
    const { good } = await checkApp(this.#backend, health.path, {
      agent: this.#connections,
      timeoutMs: health.timeout,
      signal: this.#stopping.signal,
      prompted: true,
    });
    // It is not for one bad answer to take a backend down, but the checks that do should look now.
    if (!good) this.#loops.app.prompt();
    return good;
  }

  async #check(part: Part, prompted: boolean): Promise<void> {
    const { health } = this.#pool.config;
    const options: CheckOptions = {
      agent: this.#connections,
      timeoutMs: health.timeout,
      signal: this.#stopping.signal,
      prompted,
    };
    const result =
      part === 'app'
        ? await checkApp(this.#backend, health.path, options)
        : await checkAgent(this.#backend, this.#pool.application, this.#agentToken, options);
    if (!this.#stopping.signal.aborted) this.#conclude(part, result);
  }

  #conclude(part: Part, result: CheckResult): void {
    const up = this.#verdicts[part].note(result.good, !result.good && result.certain);
    if (result.good) {
      if (part === 'agent') this.#mismatchLogged = false;
      if (result.incarnation) this.agentAnswered(result.incarnation);
      if (up) this.#log.info({ part }, `${PARTS[part]} is up`);
    } else {
      const { code, reason } = result;
      if (code === 'AGENT_MISMATCH' && !this.#mismatchLogged) {
        this.#mismatchLogged = true;
        this.#log.error({ part, code, reason }, 'the agent serves another backend; is its address right?');
      } else if (up === false) {
        this.#log.warn({ part, code, reason }, `${PARTS[part]} is down`);
      }
    }
    if (part === 'app' && up) this.#endEjection();
    if (up !== undefined) this.#publish();
  }

  /** Writes the verdicts into the backend. */
  #publish(): void {
    const backend = this.#backend;
    const wasUp = backend.appUp && backend.agentUp;
    backend.appUp = this.#verdicts.app.up;
    backend.agentUp = this.#verdicts.agent.up;
    // When it goes as well: its sessions are taken over now, and what is under way there may come to an end after all.
    if (wasUp !== (backend.appUp && backend.agentUp)) this.#distrustBindings();
    this.#changed(backend);
  }

  #eject(reason: string): void {
    const backend = this.#backend;
    const durationMs = this.#ejection.begin();
    backend.ejectedUntil = this.#now() + durationMs;
    // Already now, for the answers that are under way: their sessions may be moved before they arrive.
    this.#distrustBindings();
    this.#log.warn({ reason, durationMs }, 'ejected: requests to it fail');
    clearTimeout(this.#ejectionTimer);
    this.#ejectionTimer = setTimeout(() => {
      // The timer and not the clock decides, which may have been set back by minutes meanwhile.
      backend.ejectedUntil = 0;
      this.#distrustBindings();
      this.#log.info('ejection is over');
      this.#changed(backend);
    }, durationMs);
    this.#changed(backend);
  }

  /** The app server was down and is back: what was held against its former self says nothing of it. */
  #endEjection(): void {
    if (this.#now() >= this.#backend.ejectedUntil) return;
    clearTimeout(this.#ejectionTimer);
    this.#backend.ejectedUntil = 0;
    this.#distrustBindings();
    this.#log.info('ejection is over: the app server has come back');
  }

  #anotherAccepts(): boolean {
    return this.#pool.accepting(this.#now()).some((other) => other !== this.#backend);
  }

  /** Bindings made so far are checked against the record: what the app has lost meanwhile, its agent may not know. */
  #distrustBindings(): void {
    this.#backend.upSince = Math.max(this.#now(), this.#backend.ejectedUntil);
    this.#backend.lease.distrust();
  }
}
