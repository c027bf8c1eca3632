import { EventEmitter } from 'node:events';
import { AgentLink, type AgentRequest, type Answer, type Question } from './agent-link.ts';
import type { LinkAnswer } from './app-link.ts';
import { parseLinkAddress } from './link-address.ts';
import { type HeldSession, SessionMemory } from './session-memory.ts';
import {
  type GenerateSession,
  type SessionRequest,
  SessionRevival,
  type StoredSession,
} from './session-revival.ts';
import { StickshiftStoreError } from './store-error.ts';

export type { GenerateSession, SessionRequest, StoredSession } from './session-revival.ts';
export { StickshiftStoreError } from './store-error.ts';

const ONE_DAY = 86_400_000;
const SWEEP_INTERVAL = 60_000;
/** The last moment that a `Date` can be. */
const END_OF_TIME = 8_640_000_000_000_000;

export interface StickshiftStoreOptions {
  /** Where the session agent listens: the path of its Unix socket, or host:port. */
  readonly agent: string;
  /** The agent token; needed when `agent` is host:port. */
  readonly token?: string;
  /**
   * Idle lifetime of a session whose cookie names none, milliseconds.
   * @defaultValue 86400000 (one day)
   */
  readonly ttl?: number;
  /**
   * How long the agent may take to answer, and may be away before the app stops waiting for it, milliseconds.
   * @defaultValue 5000
   */
  readonly timeout?: number;
}

type Callback<Value> = (error: unknown, value?: Value) => void;

/** A `set`, `destroy` or `replace` that the agent has not acknowledged. */
interface Write {
  readonly kind: 'set' | 'destroy' | 'replace';
  readonly number: number;
  readonly answer: Promise<Answer>;
}

/**
 * A session store for express-session and whatever shares its store contract: `get`, `set`, `touch`, `destroy`, `all`,
 * `length`, `clear`, by callback or, without one, by promise. Sessions live in this process's memory; the session agent
 * beside it takes snapshots of them, puts in those that move here, and is asked for those that are not known.
 *
 * ```js
 * app.use(session({ store: new StickshiftStore({ agent: '/run/stickshift.sock' }), … }));
 * ```
 *
 * While the agent is away:
 * - A known session is read, changed and touched as ever. `set` calls back at once and *without* an error, and the change is
 *   sent when the agent is back. Memory has the change, and an error could only break off an answer that the app has begun;
 *   whether a client may see an answer whose change is not saved is for the gateway to judge, which asks the agent and
 *   withholds it. While the agent is there and does not answer, `set` waits for `timeout`, and so does whoever wants to read the
 *   change.
 * - A session that is not known is an error after `timeout`, never "no such session": the app would start an empty
 *   session and write it over the good one.
 * - `destroy` takes effect here at once, and calls back with an error after `timeout`, since a copy may still stand
 *   elsewhere. It is sent when the agent is back.
 * - `regenerate` takes effect here at once and waits for nobody. The agent is told when it is back, before anything else; until
 *   the new session is saved the gateway withholds the answer, and the old one stands.
 *
 * Emits `agentUp` (backend) and `agentDown` (reason), for logs; without a listener, `agentDown` is a process warning.
 * It never emits `disconnect`: express-session would then serve every request as if there were no sessions at all.
 */
export class StickshiftStore extends EventEmitter {
  /** Set by express-session. */
  generate?: GenerateSession;

  readonly #memory = new SessionMemory();
  readonly #revival = new SessionRevival();
  readonly #link: AgentLink;
  readonly #ttl: number;
  /** By session ID, so that a session that changes often is sent once. */
  readonly #writes = new Map<string, Write>();
  readonly #loads = new Map<string, Promise<StoredSession | null>>();
  readonly #sweeper: NodeJS.Timeout;

  constructor(options: StickshiftStoreOptions) {
    super();
    const address = parseLinkAddress(options.agent);
    if ('host' in address && !options.token) {
      throw new TypeError('StickshiftStore needs `token` when `agent` is host:port');
    }
    this.#ttl = options.ttl ?? ONE_DAY;
    this.#link = new AgentLink({
      address,
      token: options.token,
      timeout: options.timeout ?? 5_000,
      held: () => this.#memory.ids(),
      answer: (request) => this.#answer(request),
      onUp: (backend) => this.emit('agentUp', backend),
      onDown: (reason) => {
        if (this.emit('agentDown', reason)) return;
        // Nobody logs it, and sessions that are not saved must not go unnoticed. Once for each outage.
        process.emitWarning(`the session agent at ${options.agent} is away: ${reason}`, 'StickshiftWarning');
      },
    });
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_INTERVAL).unref();
  }

  // `Stored` is whatever the framework's own declarations call a stored session.
  get<Stored extends object = StoredSession>(
    id: string,
    callback?: Callback<Stored | null> | number,
    _context?: unknown,
  ): Promise<Stored | null> {
    return settle(this.#get(id) as Promise<Stored | null>, callback);
  }

  /** `callback` may be an idle lifetime in milliseconds instead, as koa-session passes it. */
  set(id: string, session: object, callback?: Callback<void> | number, _context?: unknown): Promise<void> {
    return settle(this.#set(id, session, isLifetime(callback) ? callback : undefined), callback);
  }

  /** Moves the idle deadline. Waits for nobody. */
  touch(id: string, session: object, callback?: Callback<void>): Promise<void> {
    const idleAt = this.#idleAt(session);
    if (this.#memory.touch(id, idleAt)) this.#link.touch(id, idleAt);
    return settle(Promise.resolve(), callback);
  }

  destroy(id: string, callback?: Callback<void> | object): Promise<void> {
    return settle(this.#destroy(id), callback);
  }

  /** The sessions in this process, by ID. */
  all<Stored extends object = StoredSession>(
    callback?: Callback<Record<string, Stored>>,
  ): Promise<Record<string, Stored>> {
    const sessions = Object.create(null) as Record<string, StoredSession>;
    for (const [id, { data, idleAt }] of this.#memory.entries()) sessions[id] = parse(data, idleAt);
    return settle(Promise.resolve(sessions as Record<string, Stored>), callback);
  }

  /** How many sessions this process holds. */
  length(callback?: Callback<number>): Promise<number> {
    return settle(Promise.resolve(this.#memory.count()), callback);
  }

  /** Destroys the sessions in this process. */
  clear(callback?: Callback<void>): Promise<void> {
    const all = [...this.#memory.ids()].map((id) => this.#destroy(id));
    return settle(
      Promise.all(all).then(() => undefined),
      callback,
    );
  }

  /** As in express-session's `Store`: makes `request.session` from what {@link get} returned. */
  createSession<Session>(request: SessionRequest, stored: object): Session {
    return this.#revival.revive(request, stored as StoredSession, this.#generator()) as Session;
  }

  /** As in express-session's `Store`: the session with its methods, or `undefined`. */
  load<Session>(id: string, callback: Callback<Session | undefined>): void {
    const revived = this.#get(id).then((stored) => {
      const request = { sessionID: id, sessionStore: this };
      return stored ? this.createSession<Session>(request, stored) : undefined;
    });
    void settle(revived, callback);
  }

  /**
   * As in express-session's `Store`: gives the request a new session, and retires the one it had. That one is not lost before
   * the new one is saved.
   */
  regenerate(request: SessionRequest, callback: (error?: unknown) => void): void {
    void settle(this.#regenerate(request), callback);
  }

  /** Ends the connection to the agent. Sessions stay readable; nothing is saved any more. */
  close(): void {
    clearInterval(this.#sweeper);
    this.#link.close();
  }

  async #get(id: string): Promise<StoredSession | null> {
    const write = this.#writes.get(id);
    // Should this agent never take note of the change, the session would be taken over without it, by now shown to somebody.
    if (write?.kind === 'set') await this.#whileUp(this.#inTime(write.answer));
    const held = this.#memory.get(id);
    if (held) return parse(held.data, held.idleAt);
    // Logged out here, and the agent does not know it yet: it would hand the session out again.
    if (this.#writes.get(id)?.kind === 'destroy') return null;
    const underWay = this.#loads.get(id);
    // Each caller gets objects of its own, from memory; what the first one does with its session is not theirs.
    if (underWay) return (await underWay) === null ? null : this.#get(id);
    const load = this.#load(id).finally(() => this.#loads.delete(id));
    this.#loads.set(id, load);
    return load;
  }

  async #load(id: string): Promise<StoredSession | null> {
    const question = this.#link.ask('load', () => ({ t: 'load', id }));
    const answer = await this.#inTime(question.answer);
    if (answer === 'late') {
      this.#link.withdraw(question.number);
      throw this.#unavailable();
    }
    if (answer?.t !== 'session') throw asError(answer, 'the session agent could not look a session up');
    const { data, idleAt } = answer;
    // While the question was under way the session may have been logged out, or put in by somebody else.
    const held = this.#memory.get(id);
    if (held) return parse(held.data, held.idleAt);
    if (data === null || idleAt <= Date.now() || this.#isEnding(id)) return null;
    this.#memory.set(id, { data, idleAt });
    return parse(data, idleAt);
  }

  async #set(id: string, session: object, lifetime: number | undefined): Promise<void> {
    const idleAt = lifetime === undefined ? this.#idleAt(session) : asDeadline(Date.now() + lifetime);
    const held = { data: JSON.stringify(session), idleAt };
    if (this.#isEnding(id)) return this.#refuse(id, held);
    this.#memory.set(id, held);
    const answer = await this.#whileUp(this.#write(id, 'set'));
    if (answer === 'late') {
      this.#link.suspect('the agent did not take note of a change in time');
      return;
    }
    // Any other error leaves the session where it is: it is good here, and the gateway asks whether it is saved.
    if (answer === 'away' || answer?.t !== 'error' || !isRefusal(answer.code)) return;
    this.#drop(id);
    throw asError(answer, 'the session is not this app server’s any more');
  }

  /**
   * A request that was under way during the logout, or the change of ID, must not bring the session back. The agent has to hear
   * of it all the same, or the gateway would take the answer of this request for one that changed nothing.
   */
  async #refuse(id: string, held: HeldSession): Promise<never> {
    await this.#inTime(this.#link.ask('late', () => ({ t: 'set', id, ...held })).answer);
    throw new StickshiftStoreError('ENDED', 'the session was logged out, or has another ID now');
  }

  async #regenerate(request: SessionRequest): Promise<void> {
    const generate = this.#generator();
    const old = request.sessionID ?? '';
    generate(request);
    const successor = request.sessionID ?? '';
    // An app that makes the same ID again means another session all the same.
    if (old === '' || successor === old) return this.#destroy(old);
    // Before it is gone from here: when no more may be asked, it stays.
    this.#note(old, 'replace', () => ({ t: 'replace', id: old, successor }));
    this.#drop(old);
  }

  async #destroy(id: string): Promise<void> {
    this.#drop(id);
    const answer = await this.#write(id, 'destroy');
    if (answer === 'late') throw this.#unavailable();
    if (answer?.t !== 'ok') throw asError(answer, 'the session could not be ended everywhere');
  }

  async #write(id: string, kind: 'set' | 'destroy'): Promise<Answer | 'late'> {
    const answer = this.#note(id, kind, () => {
      if (kind === 'destroy') return { t: 'destroy', id };
      const held = this.#memory.get(id);
      return held && { t: 'set', id, ...held };
    });
    return this.#inTime(answer);
  }

  /** Asks the agent to note a change; a newer change of the same session takes the place of one still on its way. */
  #note(id: string, kind: Write['kind'], make: () => Question | undefined): Promise<Answer> {
    const question = this.#link.ask(kind, make);
    const write = { kind, ...question };
    const former = this.#writes.get(id);
    if (former) this.#link.supersede(former.number, question.answer);
    this.#writes.set(id, write);
    void question.answer.then(() => {
      if (this.#writes.get(id) === write) this.#writes.delete(id);
    });
    return question.answer;
  }

  /** The session has left this process for good, and the agent has not confirmed it yet. */
  #isEnding(id: string): boolean {
    const kind = this.#writes.get(id)?.kind;
    return kind === 'destroy' || kind === 'replace';
  }

  /** What the agent asks of this process. */
  #answer(request: AgentRequest): LinkAnswer {
    const { n, id } = request;
    switch (request.t) {
      case 'capture': {
        const held = this.#memory.get(id);
        return { t: 'session', n, data: held?.data ?? null, idleAt: held?.idleAt ?? 0 };
      }
      case 'install':
        if (this.#isEnding(id)) {
          return { t: 'error', n, code: 'ENDED', message: 'the session was logged out here, or replaced' };
        }
        this.#memory.set(id, { data: request.data, idleAt: request.idleAt });
        return { t: 'ok', n };
      case 'forget':
        this.#drop(id);
        return { t: 'ok', n };
    }
  }

  #drop(id: string): void {
    this.#memory.delete(id);
    this.#link.untouch(id);
  }

  async #inTime(answer: Promise<Answer>): Promise<Answer | 'late'> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(resolve, this.#link.patience(), 'late').unref();
    });
    return Promise.race([answer, late]).finally(() => clearTimeout(timer));
  }

  /** `away`: the link to the agent is down. */
  async #whileUp(answer: Promise<Answer | 'late'>): Promise<Answer | 'late' | 'away'> {
    let stop: () => void = () => undefined;
    const away = new Promise<'away'>((resolve) => {
      stop = this.#link.onceDown(() => resolve('away'));
    });
    return Promise.race([answer, away]).finally(() => stop());
  }

  #unavailable(): StickshiftStoreError {
    const why = this.#link.trouble;
    return new StickshiftStoreError(
      'UNAVAILABLE',
      `the session agent did not answer in time${why ? `: ${why}` : ''}`,
    );
  }

  #idleAt(session: Pick<StoredSession, 'cookie'>): number {
    const { expires, originalMaxAge } = session.cookie ?? {};
    const at = expires ? new Date(expires).getTime() : Number.NaN;
    if (!Number.isNaN(at)) return asDeadline(at);
    return asDeadline(Date.now() + (isLifetime(originalMaxAge) ? originalMaxAge : this.#ttl));
  }

  #sweep(): void {
    this.#link.expired(this.#memory.sweep());
  }

  #generator(): GenerateSession {
    if (!this.generate) throw new TypeError('this needs express-session, which sets `generate` on its store');
    return this.generate;
  }
}

/** Errors by which the agent says that this process may not keep the session. */
function isLifetime(value: unknown): value is number {
  return typeof value === 'number' && !Number.isNaN(value);
}

/** As the agent takes it: a cookie may have expired before 1970, and some lifetimes are `Infinity`. */
function asDeadline(at: number): number {
  return Math.trunc(Math.min(Math.max(at, 0), END_OF_TIME));
}

function isRefusal(code: string): boolean {
  return code === 'FENCED' || code === 'ENDED';
}

function asError(answer: Answer, what: string): StickshiftStoreError {
  if (answer?.t === 'error') return new StickshiftStoreError(answer.code, `${what}: ${answer.message}`);
  return new StickshiftStoreError('UNAVAILABLE', what);
}

function parse(data: string, idleAt: number): StoredSession {
  const session = JSON.parse(data) as StoredSession;
  // A touch moves the deadline and leaves the JSON alone.
  if (session.cookie?.expires) session.cookie.expires = new Date(idleAt).toISOString();
  return session;
}

/** Passes the outcome to `callback` if it is one, and returns it as a promise that nobody has to look at. */
function settle<Value>(outcome: Promise<Value>, callback: unknown): Promise<Value> {
  if (typeof callback === 'function') {
    // Out of the promise, so that an error thrown by the callback is the app's uncaught exception, as with any store.
    outcome.then(
      (value) => process.nextTick(callback as Callback<Value>, null, value),
      (error) => process.nextTick(callback as Callback<Value>, error),
    );
  } else {
    // `req.session.destroy()` without a callback is common, and asks not to be told: a rejection that nobody handles
    // would end the process. Whoever awaits the promise still gets it.
    outcome.catch(() => undefined);
  }
  return outcome;
}
