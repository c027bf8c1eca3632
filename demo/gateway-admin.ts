import {
  ADMIN_API,
  type AdminState,
  type ApiErrorBody,
  type BackendStatus,
  type StateRequest,
  type StatusAnswer,
} from '../gateway/admin-api/admin-api-types.ts';
import { StickshiftError } from '../protocol/errors.ts';

const ANSWER_WITHIN_MS = 5_000;

/** The demo's view through the gateway's admin API; on loopback it needs no token. */
export class GatewayAdmin {
  readonly #url: string;

  constructor(adminUrl: string) {
    this.#url = adminUrl;
  }

  async backends(): Promise<readonly BackendStatus[]> {
    const status = await this.status();
    return status.pools.flatMap((pool) => pool.backends);
  }

  async status(): Promise<StatusAnswer> {
    return (await this.#ask('GET', ADMIN_API.status)) as StatusAnswer;
  }

  async setState(backend: string, state: AdminState): Promise<void> {
    await this.#ask('POST', ADMIN_API.backendState(backend), { state } satisfies StateRequest);
  }

  async #ask(method: string, path: string, body?: object): Promise<unknown> {
    const response = await fetch(new URL(path, this.#url), {
      method,
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
      ...(body ? { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) } : {}),
    });
    const answer: unknown = await response.json();
    if (response.ok) return answer;
    const { error } = answer as ApiErrorBody;
    throw new StickshiftError('INTERNAL', `the gateway refused ${method} ${path}: ${error.message}`);
  }
}
