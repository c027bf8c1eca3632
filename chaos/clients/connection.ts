import { Agent, type IncomingMessage, request } from 'node:http';
import type { Outcome } from '../history/history.ts';
import type { AppAnswer } from '../installation/apps/answer.ts';
import { GATEWAYS, type GatewayName, hostOf, type Pool } from '../installation/layout.ts';
import type { CookieJar } from './cookie-jar.ts';

const PATIENCE_MS = 10_000;

export interface ConnectionOptions {
  /** Ports of the gateways on 127.0.0.1. */
  readonly ports: Readonly<Record<GatewayName, number>>;
  /** How long to wait for an answer, milliseconds. Default: 10 seconds. */
  readonly patienceMs?: number;
}

export interface Exchange {
  readonly outcome: Outcome;
  readonly detail: string;
  /** With `ok` only. */
  readonly answer?: AppAnswer;
}

/** One person's connections: one to each gateway, kept alive. */
export class Connections {
  readonly #ports: Readonly<Record<GatewayName, number>>;
  readonly #patienceMs: number;
  readonly #agents = new Map<GatewayName, Agent>();

  constructor({ ports, patienceMs = PATIENCE_MS }: ConnectionOptions) {
    this.#ports = ports;
    this.#patienceMs = patienceMs;
    for (const gateway of GATEWAYS) {
      this.#agents.set(gateway, new Agent({ keepAlive: true, maxSockets: 1, maxFreeSockets: 1 }));
    }
  }

  /** Sends one request; the jar gives its cookies and takes those of the answer, whatever its status. */
  send(
    gateway: GatewayName,
    pool: Pool,
    method: 'GET' | 'POST',
    path: string,
    jar: CookieJar,
  ): Promise<Exchange> {
    const { header } = jar;
    return new Promise((resolve) => {
      const asked = request({
        port: this.#ports[gateway],
        host: '127.0.0.1',
        method,
        path,
        agent: this.#agents.get(gateway),
        headers: {
          host: hostOf(pool),
          accept: 'application/json',
          ...(header !== undefined && { cookie: header }),
          ...(method === 'POST' && { 'content-length': 0 }),
        },
      });
      const tooLate = setTimeout(() => asked.destroy(new Error('no answer in time')), this.#patienceMs);
      const settle = (exchange: Exchange) => {
        clearTimeout(tooLate);
        resolve(exchange);
      };
      asked.once('error', (error: NodeJS.ErrnoException) => {
        // Nobody listens: it cannot have been sent.
        const outcome = error.code === 'ECONNREFUSED' ? 'refused' : 'indeterminate';
        settle({ outcome, detail: error.code ?? error.message });
      });
      asked.once('response', (response) => {
        readBody(response).then(
          (text) => {
            jar.take(response.headers['set-cookie'] ?? []);
            settle(judge(response, text));
          },
          (error: Error) => settle({ outcome: 'indeterminate', detail: `broken answer: ${error.message}` }),
        );
      });
      asked.end();
    });
  }

  close(): void {
    for (const agent of this.#agents.values()) agent.destroy();
  }
}

async function readBody(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return text;
}

function judge(response: IncomingMessage, text: string): Exchange {
  const { statusCode = 0, headers } = response;
  const proxyStatus = headers['proxy-status'];
  const detail = `${statusCode}${proxyStatus === undefined ? '' : ` ${proxyStatus}`}`;
  if (statusCode === 502 || statusCode === 504) return { outcome: 'indeterminate', detail };
  if (statusCode !== 200) return { outcome: 'refused', detail };
  const answer = parseAnswer(text);
  if (answer === undefined)
    return { outcome: 'indeterminate', detail: `${detail} not an answer of the app: ${text}` };
  return { outcome: 'ok', detail, answer };
}

function parseAnswer(text: string): AppAnswer | undefined {
  try {
    const { server, generation, tokens } = JSON.parse(text) as AppAnswer;
    return { server, generation, tokens };
  } catch {
    return undefined;
  }
}
