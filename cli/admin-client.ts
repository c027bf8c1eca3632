import { request as httpRequest, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { text } from 'node:stream/consumers';
import {
  ADMIN_API,
  type ApiErrorBody,
  type SessionLookupAnswer,
  type SessionLookupRequest,
  type StateAnswer,
  type StateRequest,
  type StatusAnswer,
} from '../gateway/admin-api/admin-api-types.ts';
import { parseJson } from '../gateway/exchange/parse-json.ts';
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
    const looksRight = ({ gateway, pools }: Partial<StatusAnswer>) =>
      isObject(gateway) && Array.isArray(pools);
    return (await this.#ask('GET', ADMIN_API.status, looksRight)) as StatusAnswer;
  }

  async setState(backend: string, request: StateRequest): Promise<StateAnswer> {
    return this.#askAbout(backend, 'POST', ADMIN_API.backendState(backend), request);
  }

  async drain(backend: string, pool: string | undefined): Promise<StateAnswer> {
    const query = pool === undefined ? '' : `?pool=${encodeURIComponent(pool)}`;
    return this.#askAbout(backend, 'GET', ADMIN_API.backendDrain(backend) + query);
  }

  /** Resolves with `undefined` when the store certainly has no record. */
  async lookUp(request: SessionLookupRequest): Promise<SessionLookupAnswer | undefined> {
    const looksRight = ({ key }: Partial<SessionLookupAnswer>) => typeof key === 'string';
    try {
      return (await this.#ask('POST', ADMIN_API.sessionLookup, looksRight, request)) as SessionLookupAnswer;
    } catch (error) {
      if (error instanceof GatewayRefusal && error.code === 'NOT_FOUND') return undefined;
      throw error;
    }
  }

  /** Names the backends that there are when there is none of that name. */
  async #askAbout(backend: string, method: string, path: string, body?: object): Promise<StateAnswer> {
    const looksRight = ({ adminState }: Partial<StateAnswer>) => typeof adminState === 'string';
    try {
      return (await this.#ask(method, path, looksRight, body)) as StateAnswer;
    } catch (error) {
      if (!(error instanceof GatewayRefusal) || error.code !== 'NOT_FOUND') throw error;
      const { pools } = await this.status();
      const known = pools.flatMap((pool) => pool.backends.map(({ id }) => `${id} (${pool.name})`));
      if (known.length === 0) throw error;
      throw new CommandError(`There is no backend "${backend}"; there are: ${known.join(', ')}`, {
        cause: error,
      });
    }
  }

  /**
   * @param looksRight - whether an answer of 2xx is what was asked for: any server may have something at this path
   */
  async #ask(
    method: string,
    path: string,
    looksRight: (answer: object) => boolean,
    body?: object,
  ): Promise<object> {
    const { status, text } = await this.#send(method, path, body);
    const answer = parseJson(text);
    if (status >= 200 && status < 300) {
      if (isObject(answer) && looksRight(answer)) return answer;
      throw this.#noGateway(status);
    }
    const refusal = refusalIn(answer);
    // Others, such as agents, refuse in the same words.
    const isUnsure = refusal?.code === 'UNAUTHORIZED' || refusal?.code === 'NOT_FOUND';
    if (!refusal || (isUnsure && !(await this.#isGateway()))) throw this.#noGateway(status);
    if (refusal.code !== 'UNAUTHORIZED') throw new GatewayRefusal(refusal);
    throw new CommandError(
      this.#token === undefined
        ? `The gateway at ${this.url} wants a token: set STICKSHIFT_ADMIN_TOKEN to its gateway.admin.token.`
        : `The gateway at ${this.url} refuses this token: is STICKSHIFT_ADMIN_TOKEN its gateway.admin.token?`,
    );
  }

  /** A gateway says in its own words that it is alive, and says it to everybody. */
  async #isGateway(): Promise<boolean> {
    const answer = parseJson((await this.#send('GET', ADMIN_API.health)).text);
    return isObject(answer) && 'alive' in answer;
  }

  #noGateway(status: number): CommandError {
    return new CommandError(
      `What answers at ${this.url} is no admin API of a gateway (status ${status}): set --admin to it.`,
    );
  }

  async #send(method: string, path: string, body?: object): Promise<Answer> {
    const headers: Record<string, string> = { accept: 'application/json' };
    if (this.#token !== undefined) headers.authorization = `Bearer ${this.#token}`;
    if (body) headers['content-type'] = 'application/json';
    const signal = AbortSignal.timeout(this.#timeoutMs);
    // A kept connection may be closed just when the next question is sent.
    const options = { method, headers, agent: false, signal } as const;
    try {
      return await send(new URL(path, this.url), options, body && JSON.stringify(body));
    } catch (error) {
      throw new CommandError(
        `No gateway answers at ${this.url} (${reasonOf(error)}). Is it running? ` +
          'Name its admin API with --admin or STICKSHIFT_ADMIN_URL.',
        { cause: error },
      );
    }
  }
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Not by fetch, which keeps away from ports that browsers keep away from, such as 10080. */
function send(url: URL, options: RequestOptions, body: string | undefined): Promise<Answer> {
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    request(url, options, (response) => {
      const status = response.statusCode ?? 0;
      text(response).then((whole) => resolve({ status, text: whole }), reject);
    })
      .on('error', reject)
      .end(body);
  });
}

type Refusal = Pick<ApiErrorBody['error'], 'code' | 'message'>;

/** The gateway understood, and said no. */
class GatewayRefusal extends CommandError {
  readonly code: string;

  constructor({ code, message }: Refusal) {
    super(`The gateway answers ${code}: ${message}`);
    this.code = code;
  }
}

/** What an answer refuses with, if it has the form that a gateway's refusals have. */
function refusalIn(answer: unknown): Refusal | undefined {
  const { error } = isObject(answer) ? (answer as { error?: unknown }) : {};
  const { code, message } = isObject(error) ? (error as Partial<Record<keyof Refusal, unknown>>) : {};
  return typeof code === 'string' && typeof message === 'string' ? { code, message } : undefined;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (cause instanceof Error && cause.name === 'TimeoutError') return 'no answer in time';
  return 'code' in error ? String(error.code) : error.message;
}
