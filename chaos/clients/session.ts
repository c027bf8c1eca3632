import type { HistoryRecorder, Operation, OperationKind } from '../history/history.ts';
import type { GatewayName, Pool } from '../installation/layout.ts';
import type { Connections } from './connection.ts';
import { CookieJar } from './cookie-jar.ts';

const REQUESTS = {
  append: ['POST', '/append'],
  read: ['GET', '/read'],
  final: ['GET', '/read'],
  login: ['POST', '/login'],
  logout: ['POST', '/logout'],
} as const;

export interface SessionContext {
  readonly history: HistoryRecorder;
  readonly keyOf: (pool: Pool, sessionId: string) => string;
  /** Hears of every ID that is dead from now on, with the cookies that belonged to it. */
  readonly onRetired: (retired: RetiredSession) => void;
}

/** What a thief would have: an ID that was acknowledged to be dead, and the cookies beside it. */
export interface RetiredSession {
  readonly pool: Pool;
  readonly session: number;
  readonly jar: CookieJar;
}

/** One session as its owner sees it: cookies, what was appended, and whether it is still known to be alive. */
export class ClientSession {
  readonly pool: Pool;
  readonly number: number;
  readonly jar: CookieJar;
  readonly #context: SessionContext;
  #tokens = 0;
  #generation: string | undefined;
  #known: readonly string[] = [];
  #state: 'new' | 'alive' | 'doubtful' | 'over' = 'new';

  constructor(pool: Pool, number: number, context: SessionContext, jar = new CookieJar(pool)) {
    this.pool = pool;
    this.number = number;
    this.jar = jar;
    this.#context = context;
  }

  /**
   * `new`: nothing is acknowledged; `doubtful`: a login or logout was sent and may have happened, now or later, so that the
   * session may be gone; `over`: logged out, or gone.
   */
  get state(): 'new' | 'alive' | 'doubtful' | 'over' {
    return this.#state;
  }

  get length(): number {
    return this.#tokens;
  }

  async perform(
    kind: Exclude<OperationKind, 'attack'>,
    gateway: GatewayName,
    connections: Connections,
  ): Promise<Operation> {
    const { history, keyOf, onRetired } = this.#context;
    const before = this.jar.copy();
    const id = before.sessionId;
    if (kind === 'append') this.#tokens += 1;
    const token = kind === 'append' ? `${this.number}.${this.#tokens}` : undefined;
    const invokedAt = history.now();
    const [method, path] = REQUESTS[kind];
    const target = token === undefined ? path : `${path}?token=${token}`;
    const exchange = await connections.send(gateway, this.pool, method, target, this.jar);
    const answer = exchange.answer && { ...exchange.answer, tokens: this.#shared(exchange.answer.tokens) };
    const operation = history.addOperation({
      pool: this.pool,
      session: this.number,
      kind,
      ...(token !== undefined && { token }),
      gateway,
      key: id === undefined ? undefined : keyOf(this.pool, id),
      invokedAt,
      completedAt: history.now(),
      outcome: exchange.outcome,
      detail: exchange.detail,
      ...(answer && { answer }),
    });
    this.#learn(operation);
    const isRetired = operation.outcome === 'ok' && (kind === 'logout' || kind === 'login');
    if (
      isRetired &&
      before.sessionId !== undefined &&
      (kind === 'logout' || this.jar.sessionId !== before.sessionId)
    ) {
      onRetired({ pool: this.pool, session: this.number, jar: before });
    }
    return operation;
  }

  #learn({ kind, outcome, answer }: Operation): void {
    if (outcome !== 'ok' || answer === undefined) {
      if (kind === 'login' || kind === 'logout') this.#state = 'doubtful';
      return;
    }
    if (kind === 'logout') this.#state = 'over';
    else if (this.#state === 'new') {
      this.#state = 'alive';
      this.#generation = answer.generation ?? undefined;
    } else if (answer.generation !== this.#generation) {
      // Gone, rightly or not: the checker knows. There is nothing left to do with it.
      this.#state = 'over';
    }
  }

  /** Answers repeat each other: equal ones share their memory in a history that may grow long. */
  #shared(tokens: readonly string[]): readonly string[] {
    const known = this.#known;
    const same = known.length === tokens.length && known.every((token, index) => token === tokens[index]);
    if (!same) this.#known = tokens.map((token, index) => (known[index] === token ? known[index] : token));
    return this.#known;
  }
}
