import {
  ADMIN_API,
  type ApiErrorBody,
  type SessionLookupAnswer,
  type SessionLookupRequest,
  type StateAnswer,
  type StateRequest,
  type StatusAnswer,
} from '../gateway/admin-api/admin-api-types.ts';
import { CommandError } from './exit-status.ts';

export interface AdminClientOptions {
  /** Base URL of a gateway's admin API. */
  readonly url: string;
  readonly token: string | undefined;
  /** Longest wait for one answer, milliseconds. Default 10 000. */
  readonly timeoutMs?: number;
}

/** Talks to one gateway. Every failure is a `CommandError` that says what to do about it. */
export class AdminClient {
  readonly url: string;
  readonly #token: string | undefined;
  readonly #timeoutMs: number;

  constructor({ url, token, timeoutMs = 10_000 }: AdminClientOptions) {
    this.url = url;
    this.#token = token;
    this.#timeoutMs = timeoutMs;
  }

  async status(): Promise<StatusAnswer> {
    return (await this.#ask('GET', ADMIN_API.status)) as StatusAnswer;
  }

  async setState(backend: string, request: StateRequest): Promise<StateAnswer> {
    return (await this.#askAbout(backend, 'POST', ADMIN_API.backendState(backend), request)) as StateAnswer;
  }

  async drain(backend: string, pool: string | undefined): Promise<StateAnswer> {
    const query = pool === undefined ? '' : `?pool=${encodeURIComponent(pool)}`;
    return (await this.#askAbout(backend, 'GET', ADMIN_API.backendDrain(backend) + query)) as StateAnswer;
  }

  /** Resolves with `undefined` when the store certainly has no record. */
  async lookUp(request: SessionLookupRequest): Promise<SessionLookupAnswer | undefined> {
    try {
      return (await this.#ask('POST', ADMIN_API.sessionLookup, request)) as SessionLookupAnswer;
    } catch (error) {
      if (error instanceof GatewayRefusal && error.httpStatus === 404) return undefined;
      throw error;
    }
  }

  /** Names the backends that there are when there is none of that name. */
  async #askAbout(backend: string, method: string, path: string, body?: object): Promise<unknown> {
    try {
      return await this.#ask(method, path, body);
    } catch (error) {
      if (!(error instanceof GatewayRefusal) || error.httpStatus !== 404) throw error;
      const { pools } = await this.status();
      const known = pools.flatMap((pool) => pool.backends.map(({ id }) => `${id} (${pool.name})`));
      if (known.length === 0) throw error;
      throw new CommandError(`There is no backend "${backend}"; there are: ${known.join(', ')}`, {
        cause: error,
      });
    }
  }

  async #ask(method: string, path: string, body?: object): Promise<unknown> {
    const { response, text } = await this.#send(method, path, body);
    if (response.status === 401 || response.status === 403) {
      throw new CommandError(
        this.#token === undefined
          ? `The gateway at ${this.url} wants a token: set STICKSHIFT_ADMIN_TOKEN to its gateway.admin.token.`
          : `The gateway at ${this.url} refuses this token: is STICKSHIFT_ADMIN_TOKEN its gateway.admin.token?`,
      );
    }
    let answer: unknown;
    try {
      answer = JSON.parse(text);
    } catch (error) {
      throw new CommandError(
        `What answers at ${this.url} is no admin API of a gateway (status ${response.status}, not JSON): set --admin to it.`,
        { cause: error },
      );
    }
    if (response.ok) return answer;
    throw new GatewayRefusal(response.status, (answer as Partial<ApiErrorBody>).error);
  }

  async #send(method: string, path: string, body?: object): Promise<{ response: Response; text: string }> {
    const headers: Record<string, string> = { accept: 'application/json' };
    if (this.#token !== undefined) headers.authorization = `Bearer ${this.#token}`;
    if (body) headers['content-type'] = 'application/json';
    try {
      const response = await fetch(new URL(path, this.url), {
        method,
        headers,
        ...(body && { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(this.#timeoutMs),
      });
      return { response, text: await response.text() };
    } catch (error) {
      throw new CommandError(
        `No gateway answers at ${this.url} (${reasonOf(error)}). Is it running? ` +
          'Name its admin API with --admin or STICKSHIFT_ADMIN_URL.',
        { cause: error },
      );
    }
  }
}

/** The gateway understood, and said no. */
class GatewayRefusal extends CommandError {
  readonly httpStatus: number;

  constructor(httpStatus: number, error: ApiErrorBody['error'] | undefined) {
    super(
      error ? `The gateway answers ${error.code}: ${error.message}` : `The gateway answers ${httpStatus}.`,
    );
    this.httpStatus = httpStatus;
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return 'no answer in time';
  // fetch says "fetch failed" and hides why one level down.
  const { cause } = error;
  if (cause instanceof Error && 'code' in cause) return String(cause.code);
  return cause instanceof Error ? cause.message : error.message;
}
