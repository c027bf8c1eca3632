import { connect, type Socket } from 'node:net';
import {
  type AgentToApp,
  APP_LINK_MAX_LINE,
  APP_LINK_VERSION,
  type AppToAgent,
  type LinkAnswer,
} from './app-link.ts';
import { LineSplitter } from './line-splitter.ts';
import type { LinkAddress } from './link-address.ts';
import { StickshiftStoreError } from './store-error.ts';

const FIRST_RETRY = 50;
const LAST_RETRY = 250;
/** A connection that held for so long was a good one, milliseconds. */
const STEADY = 1_000;
/** Open questions at which only a `set` is still accepted: those are bounded already, by one for each session. */
const MAX_QUESTIONS = 10_000;
const IDS_PER_LINE = 1_000;

export type AgentRequest = Extract<AgentToApp, { t: 'capture' | 'install' | 'forget' }>;
export type Question =
  | { t: 'set'; id: string; data: string; idleAt: number }
  | { t: 'destroy' | 'load'; id: string }
  | { t: 'replace'; id: string; successor: string };
/** `undefined`: there was nothing left to ask, or the link was closed. */
export type Answer = LinkAnswer | undefined;

export interface AgentLinkOptions {
  readonly address: LinkAddress;
  readonly token: string | undefined;
  /** How long the agent may take for its welcome and to note a `set`, milliseconds. */
  readonly timeout: number;
  /** IDs of the sessions that the app holds, read anew for each connection. */
  readonly held: () => Iterable<string>;
  readonly answer: (request: AgentRequest) => LinkAnswer;
  readonly onUp: (backend: string) => void;
  readonly onDown: (reason: string) => void;
}

interface OpenQuestion {
  readonly kind: Question['t'] | 'late';
  /** Makes the question as it stands now: a session may have changed since it was asked first. */
  readonly make: () => Question | undefined;
  readonly resolve: (answer: Answer) => void;
}

/**
 * The connection to the agent, kept up for as long as the store lives. A question stays open until it is answered or
 * withdrawn; after a reconnect all open ones are asked again, in their order.
 */
export class AgentLink {
  readonly #options: AgentLinkOptions;
  readonly #open = new Map<number, OpenQuestion>();
  /** Deadlines moved since they were last told: only the newest of each session counts. */
  readonly #touched = new Map<string, number>();
  readonly #downListeners = new Set<() => void>();
  #lastNumber = 0;
  #socket: Socket | undefined;
  /** `introducing`: welcomed, but the agent does not know yet what the app holds. */
  #state: 'down' | 'introducing' | 'up' | 'closed' = 'down';
  #downSince = performance.now();
  #upSince = 0;
  #retryDelay = FIRST_RETRY;
  #timer: NodeJS.Timeout | undefined;
  #lastReason = '';

  constructor(options: AgentLinkOptions) {
    this.#options = options;
    this.#connect();
  }

  /** Why the link is down; empty when it is not. */
  get trouble(): string {
    return this.#lastReason;
  }

  /**
   * How long a caller should wait for an answer, milliseconds. It shrinks while the link is down, so that an agent that
   * stays away delays the app once and not at every request.
   */
  patience(): number {
    if (this.#state !== 'down') return this.#options.timeout;
    return Math.max(0, this.#options.timeout - (performance.now() - this.#downSince));
  }

  /** Calls back when the link goes down, at once when it is; returns how to stop that. */
  onceDown(listener: () => void): () => void {
    if (this.#state === 'down') listener();
    else this.#downListeners.add(listener);
    return () => this.#downListeners.delete(listener);
  }

  /**
   * Asks the agent. `make` is called whenever the question is sent; when it returns `undefined` there is nothing to ask
   * any more, and the answer is `undefined`. Throws a {@link StickshiftStoreError} when too many questions are open.
   *
   * @param kind - `late` is a `set` that the agent will refuse: there may be many of one session
   */
  ask(kind: Question['t'] | 'late', make: OpenQuestion['make']): { number: number; answer: Promise<Answer> } {
    if (this.#state === 'closed') throw new StickshiftStoreError('UNAVAILABLE', 'the store is closed');
    if (kind !== 'set' && this.#open.size >= MAX_QUESTIONS) {
      throw new StickshiftStoreError('UNAVAILABLE', 'too many questions wait for the agent');
    }
    const number = ++this.#lastNumber;
    const answer = new Promise<Answer>((resolve) => this.#open.set(number, { kind, make, resolve }));
    if (this.#state === 'up') this.#send(number);
    return { number, answer };
  }

  /** Forgets a question; its answer stays open for ever. */
  withdraw(number: number): void {
    this.#open.delete(number);
  }

  /** A newer question takes the place of one on its way; who waits for the old one gets the answer to the new one. */
  supersede(number: number, answer: Promise<Answer>): void {
    const open = this.#open.get(number);
    this.#open.delete(number);
    if (open) void answer.then(open.resolve);
  }

  /** Tells the agent that a session was used, as soon as it listens. */
  touch(id: string, idleAt: number): void {
    this.#touched.set(id, idleAt);
    this.#sendTouched();
  }

  /** The session is no longer here, so its deadline is nobody's business. */
  untouch(id: string): void {
    this.#touched.delete(id);
  }

  /** Tells the agent which sessions expired. When it does not listen it learns so from the next introduction. */
  expired(ids: readonly string[]): void {
    for (const id of ids) this.untouch(id);
    for (let at = 0; at < ids.length && this.#state === 'up'; at += IDS_PER_LINE) {
      this.#write({ t: 'expired', ids: ids.slice(at, at + IDS_PER_LINE) });
    }
  }

  /** A question was not answered in time: the agent may hang although its socket is open, so connect anew. */
  suspect(reason: string): void {
    if (this.#state === 'up') this.#socket?.destroy(new Error(reason));
  }

  close(): void {
    this.#state = 'closed';
    clearTimeout(this.#timer);
    this.#socket?.destroy();
    for (const { resolve } of this.#open.values()) resolve(undefined);
    this.#open.clear();
    this.#downListeners.clear();
    this.#touched.clear();
  }

  #connect(): void {
    const socket = connect(this.#options.address);
    this.#socket = socket;
    // The app decides how long it lives; a store alone must not keep it from exiting.
    socket.unref();
    socket.setKeepAlive(true, 10_000);
    this.#startTimer(this.#options.timeout, () => socket.destroy(new Error('no welcome in time')));

    const lines = new LineSplitter(APP_LINK_MAX_LINE);
    let failure: Error | undefined;
    socket.on('connect', () => {
      const { token } = this.#options;
      this.#write({ t: 'hello', version: APP_LINK_VERSION, ...(token === undefined ? {} : { token }) });
    });
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const line of lines.push(chunk)) this.#receive(parse(line));
      } catch (error) {
        // After a malformed line nothing that follows can be trusted to be in step.
        socket.destroy(error as Error);
      }
    });
    socket.on('drain', () => this.#sendTouched());
    socket.on('error', (error) => {
      failure = error;
    });
    socket.on('close', () => this.#lost(failure?.message ?? 'the agent closed the connection'));
  }

  #lost(reason: string): void {
    if (this.#state === 'closed') return;
    if (this.#state !== 'down') {
      this.#state = 'down';
      this.#downSince = performance.now();
      // Two app processes at one agent drive each other out: without this they would do so in a tight loop.
      if (this.#downSince - this.#upSince > STEADY) this.#retryDelay = FIRST_RETRY;
      for (const listener of this.#downListeners) listener();
      this.#downListeners.clear();
    }
    this.#startTimer(this.#retryDelay, () => this.#connect());
    this.#retryDelay = Math.min(this.#retryDelay * 2, LAST_RETRY);
    if (reason !== this.#lastReason) this.#options.onDown(reason);
    this.#lastReason = reason;
  }

  #receive(message: AgentToApp): void {
    switch (message.t) {
      case 'welcome':
        if (this.#state === 'down') void this.#introduce(message.backend);
        return;
      case 'capture':
      case 'install':
      case 'forget':
        this.#write(this.#options.answer(message));
        return;
      case 'error':
        if (message.n === 0) {
          this.#socket?.destroy(new Error(`the agent refuses: ${message.message} (${message.code})`));
          return;
        }
        this.#settle(message.n, message);
        return;
      case 'ok':
      case 'session':
        this.#settle(message.n, message);
        return;
      default:
      // A newer agent may tell what this store does not know.
    }
  }

  /** Says what the app holds, then everything that a former connection left unsaid. */
  async #introduce(backend: string): Promise<void> {
    const socket = this.#socket;
    clearTimeout(this.#timer);
    this.#state = 'introducing';
    this.#upSince = performance.now();
    this.#lastReason = '';
    const said = this.#lastNumber;
    // An agent that is told of a new ID without a word of the old one would take the two for two sessions.
    for (const [number, { kind }] of this.#open) if (kind === 'replace') this.#send(number);
    let ids: string[] = [];
    for (const id of this.#options.held()) {
      if (ids.push(id) < IDS_PER_LINE) continue;
      this.#write({ t: 'have', ids, last: false });
      ids = [];
      await this.#drained(socket);
      if (this.#socket !== socket || this.#state !== 'introducing') return;
    }
    this.#write({ t: 'have', ids, last: true });
    // A Map's iterator also meets what is added while it runs, so questions asked meanwhile are sent in their turn.
    for (const [number, { kind }] of this.#open) {
      if (kind === 'replace' && number <= said) continue;
      this.#send(number);
      await this.#drained(socket);
      if (this.#socket !== socket || this.#state !== 'introducing') return;
    }
    this.#state = 'up';
    this.#sendTouched();
    this.#options.onUp(backend);
  }

  /** Resolves when more may be written, or the connection is gone. */
  #drained(socket: Socket | undefined): Promise<void> | undefined {
    if (!socket?.writableNeedDrain) return undefined;
    const { timeout } = this.#options;
    return new Promise((resolve) => {
      const stuck = setTimeout(() => socket.destroy(new Error('the agent does not read')), timeout).unref();
      const done = () => {
        clearTimeout(stuck);
        socket.off('drain', done).off('close', done);
        resolve();
      };
      socket.on('drain', done).on('close', done);
    });
  }

  #send(number: number): void {
    const question = this.#open.get(number)?.make();
    if (question) this.#write({ ...question, n: number });
    else this.#settle(number, undefined);
  }

  #settle(number: number, answer: Answer): void {
    const open = this.#open.get(number);
    this.#open.delete(number);
    open?.resolve(answer);
  }

  #sendTouched(): void {
    for (const [id, idleAt] of this.#touched) {
      // An agent that does not read must not make the app collect lines for it without end.
      if (this.#state !== 'up' || this.#socket?.writableNeedDrain) return;
      this.#touched.delete(id);
      this.#write({ t: 'touch', id, idleAt });
    }
  }

  #write(message: AppToAgent): void {
    this.#socket?.write(`${JSON.stringify(message)}\n`);
  }

  #startTimer(delay: number, action: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(action, delay).unref();
  }
}

/** Throws for what would harm later, far from its cause: a line that is no message, a session that is none. */
function parse(line: string): AgentToApp {
  const message = JSON.parse(line) as AgentToApp;
  if (message.t === 'install' || message.t === 'session') {
    const { t, data, idleAt } = message;
    const isText = typeof data === 'string' || (t === 'session' && data === null);
    if (!isText || typeof idleAt !== 'number') throw new TypeError(`the agent sent a malformed ${t} message`);
  }
  return message;
}
