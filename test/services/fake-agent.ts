import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import {
  type AdoptAnswer,
  type AdoptRequest,
  AGENT_API,
  type AgentReadiness,
  type CommitAnswer,
  type CommitRequest,
  type LeaseAnswer,
  type LeaseRequest,
} from '../../protocol/agent-api.ts';
import { asStickshiftError } from '../../protocol/errors.ts';
import { Leases } from '../../session-agent/leases/leases.ts';

export interface AgentCall {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: unknown;
}

/** An answer: 200 unless it has a status of its own; bytes go out as they are, anything else as JSON. */
export interface AgentAnswer {
  readonly status?: number;
  readonly body: unknown;
}

export type AgentReply = (call: AgentCall) => AgentAnswer | Promise<AgentAnswer>;

/**
 * A session agent that keeps no sessions: it says that it is ready, records every call, and answers by `replies`, by
 * default as an agent that may serve what the record says is its own, and has no changes to commit. It grants leases as a
 * real one does; a test recalls sessions by `leases`, and restarts the agent by giving `readiness` another incarnation.
 */
export class FakeAgent {
  readonly url: string;
  readonly calls: AgentCall[] = [];
  /** Calls of `AGENT_API.lease`, which come all the time, and so are not among `calls`. The newest hundred. */
  readonly leaseCalls: LeaseRequest[] = [];
  readiness: AgentReadiness;
  /** Answers `GET /readyz` in place of `readiness`. */
  readyReply: (() => AgentAnswer | Promise<AgentAnswer>) | undefined;
  readonly replies: Record<string, AgentReply> = {
    [AGENT_API.adopt]: ({ body }) => {
      const { ifEpoch: epoch } = body as AdoptRequest;
      return { body: { outcome: 'found', epoch, seq: 1, ageMs: 0, size: 10 } satisfies AdoptAnswer };
    },
    [AGENT_API.release]: () => ({ body: { outcome: 'not-held' } }),
    [AGENT_API.releaseIdle]: () => ({ body: { released: 0, remaining: 0, unprotected: 0 } }),
    [AGENT_API.commit]: ({ body }) => {
      const { sessionIds } = body as CommitRequest;
      return { body: { sessions: sessionIds.map(() => ({ outcome: 'not-held' })) } satisfies CommitAnswer };
    },
    [AGENT_API.lease]: ({ body }) => this.#lease(body as LeaseRequest),
  };
  readonly #server: Server;
  #life: { readonly incarnation: string; readonly leases: Leases } | undefined;

  private constructor(server: Server, backend: string, application: string) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    this.readiness = { backend, application, incarnation: '1', ready: true };
    server.on('request', async (request, response) => {
      const { status = 200, body } = await this.#reply(request);
      response
        .writeHead(status, { 'content-type': 'application/json' })
        .end(Buffer.isBuffer(body) ? body : JSON.stringify(body));
    });
  }

  static async start(options: { backend: string; application: string }): Promise<FakeAgent> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new FakeAgent(server, options.backend, options.application);
  }

  /** Of the agent's present life. */
  get leases(): Leases {
    const { incarnation } = this.readiness;
    if (this.#life?.incarnation !== incarnation) {
      this.#life?.leases.stop();
      this.#life = { incarnation, leases: new Leases({ formerLife: this.#life !== undefined }) };
    }
    return this.#life.leases;
  }

  async stop(): Promise<void> {
    this.#life?.leases.stop();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #reply(request: IncomingMessage): Promise<AgentAnswer> {
    const path = request.url ?? '';
    if (path === AGENT_API.ready && this.readyReply) return this.readyReply();
    if (path === AGENT_API.ready || path === AGENT_API.health) {
      return { status: this.readiness.ready ? 200 : 503, body: this.readiness };
    }
    const call = {
      path,
      authorization: request.headers.authorization,
      body: request.method === 'POST' ? await json(request) : undefined,
    };
    if (path === AGENT_API.lease) {
      this.leaseCalls.push(call.body as LeaseRequest);
      if (this.leaseCalls.length > 100) this.leaseCalls.shift();
    } else {
      this.calls.push(call);
    }
    const reply = this.replies[path];
    return reply
      ? await reply(call)
      : { status: 404, body: { error: { code: 'NOT_FOUND', message: path, retrySafe: true } } };
  }

  async #lease(request: LeaseRequest): Promise<AgentAnswer> {
    const { incarnation } = this.readiness;
    try {
      return { body: { incarnation, ...(await this.leases.call(request)) } satisfies LeaseAnswer };
    } catch (error) {
      const { status, code, message, retrySafe } = asStickshiftError(error);
      return { status, body: { error: { code, message, retrySafe } } };
    }
  }
}
