import type { Logger } from 'pino';
import { asStickshiftError } from '../../protocol/errors.ts';
import type { AgentClient } from '../agent-client/agent-client.ts';
import type { Backend } from '../backends/backend.ts';
import type { DrainProgress } from './drain-progress.ts';
import { Pace } from './pace.ts';

/** Sessions per call of the agent: few enough that progress shows, many enough that calls do not cost more than releases. */
const BATCH = 200;
const CLOSING_MS = 5_000;
const NOTICE_MS = 1_500;

export interface DrainParts {
  readonly agentClient: AgentClient;
  /** IDs of the sessions with a request under way on the backend; these are not released. Its `inFlight` is as of now then. */
  readonly inFlightSessions: (backend: Backend) => Iterable<string> | Promise<Iterable<string>>;
  /** Ends what is still under way: WebSockets with 1012, requests by destroying them. */
  readonly closeConnections: (backend: Backend) => void;
  /** Whether another backend takes over what this one releases. */
  readonly hasSuccessor: (backend: Backend) => boolean;
  readonly logger: Logger;
  /** After the deadline, how long to wait when nothing moves: for closed connections to be gone, or for the agent. Default 5000. */
  readonly closingMs?: number;
  /**
   * Until the other gateways have seen that the backend is drained, they send it new clients: no drain is complete before that.
   * Default 1500.
   */
  readonly noticeMs?: number;
}

/** One drain of one backend, from its start to its end. */
export class Drain {
  readonly #parts: DrainParts;
  readonly #backend: Backend;
  readonly #log: Logger;
  readonly #pace = new Pace();
  readonly #reason: DrainProgress['reason'];
  // For people; a drain does not end because somebody sets the clock.
  readonly #startedAt = Date.now();
  readonly #deadlineMs: number;
  readonly #began = performance.now();
  #state: DrainProgress['state'] = 'draining';
  #endedAt: number | undefined;
  #released = 0;
  #remaining: number | undefined;
  #unprotected: number | undefined;
  #agentError: string | undefined;
  /** Nothing was in flight when the agent was last asked. Otherwise a request may have begun a session behind its answer. */
  #wasQuiet = false;
  #cancelled = false;

  constructor(backend: Backend, deadlineMs: number, parts: DrainParts) {
    this.#parts = parts;
    this.#backend = backend;
    this.#reason = backend.adminState === 'maintenance' ? 'maintenance' : 'drain';
    this.#deadlineMs = deadlineMs;
    this.#log = parts.logger.child({ pool: backend.pool, backend: backend.id });
  }

  get progress(): DrainProgress {
    return {
      state: this.#state,
      reason: this.#reason,
      startedAt: this.#startedAt,
      deadlineAt: this.#startedAt + this.#deadlineMs,
      ...(this.#endedAt !== undefined && { endedAt: this.#endedAt }),
      released: this.#released,
      ...(this.#remaining !== undefined && { remaining: this.#remaining }),
      ...(this.#unprotected !== undefined && { unprotected: this.#unprotected }),
      inFlight: this.#backend.inFlight,
      ...(this.#isLast && { isLast: true }),
      ...(this.#agentError !== undefined && { agentError: this.#agentError }),
    };
  }

  /** Resolves when the drain is over or was cancelled and its last call of the agent has ended. */
  async run(): Promise<void> {
    this.#log.info({ reason: this.#reason, deadlineMs: this.#deadlineMs }, 'drain begins');
    // Without any patience, connections are closed before the agent is asked for the first time.
    if (this.#deadlineMs > 0) await this.#release(this.#began + this.#deadlineMs);
    if (this.#cancelled) return;
    if (!this.#isDone && !this.#isLast) {
      this.#state = 'closing';
      const { inFlight } = this.#backend;
      if (inFlight > 0) this.#log.warn({ inFlight }, 'drain deadline: closing what is still under way');
      this.#parts.closeConnections(this.#backend);
      await this.#release(performance.now() + (this.#parts.closingMs ?? CLOSING_MS));
      if (this.#cancelled) return;
    }
    this.#end();
  }

  /** Stops as soon as the call under way has ended; that call cannot be taken back. */
  cancel(): void {
    this.#cancelled = true;
    this.#pace.interrupt();
  }

  /** Everything is released, and nothing is under way, or will come, that could bring a session back. */
  get #isDone(): boolean {
    const isQuiet = this.#wasQuiet && this.#backend.inFlight === 0;
    return this.#remaining === 0 && isQuiet && !this.#agentError && this.#isNoticed && !this.#isLast;
  }

  /**
   * Nobody else is there for its clients, so whatever it releases comes back with their next request. Under maintenance they are
   * sent away.
   */
  get #isLast(): boolean {
    const goesOn = this.#reason === 'drain' && this.#backend.isUp(Date.now());
    return goesOn && !this.#parts.hasSuccessor(this.#backend);
  }

  /** Every gateway knows of the drain by now. */
  get #isNoticed(): boolean {
    return performance.now() - this.#began >= (this.#parts.noticeMs ?? NOTICE_MS);
  }

  /**
   * Releases sessions, batch by batch, until nothing is left, or nothing more can be done, or the time has come.
   *
   * @param until - `performance.now()`
   */
  async #release(until: number): Promise<void> {
    for (;;) {
      const released = this.#isLast ? 0 : await this.#releaseBatch();
      if (this.#cancelled || this.#isDone) return;
      const isLate = performance.now() >= until;
      if (this.#state === 'draining' && isLate) return;
      // Past the deadline, many sessions may still be left, and every one that is released is one that is not lost.
      if (this.#state === 'closing' && released === 0 && (isLate || this.#nothingToWaitFor)) return;
      const latest = isLate ? Number.POSITIVE_INFINITY : until;
      await this.#pace.pause({ progress: released, batch: BATCH, latest });
      if (this.#cancelled) return;
    }
  }

  /** What is left cannot be saved, now or later. */
  get #nothingToWaitFor(): boolean {
    const isStill = this.#backend.inFlight === 0 && this.#remaining === this.#unprotected;
    return isStill && !this.#agentError && this.#isNoticed;
  }

  async #releaseBatch(): Promise<number> {
    const { agentClient, inFlightSessions } = this.#parts;
    const except = [...new Set(await inFlightSessions(this.#backend))];
    const isQuiet = this.#backend.inFlight === 0;
    try {
      const answer = await agentClient.releaseIdle(this.#backend, { except, limit: BATCH });
      // What has begun meanwhile may be in another thread.
      await inFlightSessions(this.#backend);
      if (this.#agentError !== undefined) this.#log.info('drain goes on: the agent answers again');
      this.#agentError = undefined;
      this.#released += answer.released;
      this.#remaining = answer.remaining;
      this.#unprotected = answer.unprotected;
      this.#wasQuiet = isQuiet;
      return answer.released;
    } catch (error) {
      const failure = asStickshiftError(error);
      // Logged when it begins and when it changes, not at every attempt; the progress shows it all the time.
      if (this.#agentError !== failure.code) {
        this.#log.warn({ err: failure, code: failure.code }, 'drain: the agent does not release sessions');
      }
      this.#agentError = failure.code;
      return 0;
    }
  }

  #end(): void {
    this.#endedAt = Date.now();
    this.#state = this.#isDone ? 'complete' : 'incomplete';
    const { released, remaining, unprotected, inFlight, isLast, agentError } = this.progress;
    const tookMs = Math.round(performance.now() - this.#began);
    const numbers = { released, remaining, unprotected, inFlight, agentError, tookMs };
    if (this.#isDone) this.#log.info(numbers, 'drain is complete');
    else if (isLast) {
      this.#log.warn(
        numbers,
        'drain is incomplete: no other backend accepts clients, so this one goes on serving its own',
      );
    } else this.#log.warn(numbers, 'drain is incomplete: what remains is lost if the app server stops now');
  }
}
