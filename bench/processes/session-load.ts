import type { ChildProcess } from 'node:child_process';
import { endProcess, nextMessage, startModule } from './child-process.ts';

export type Kind = 'read' | 'write';

export type SessionLoadRequest =
  /** Begins a session on each connection, and binds it. Comes first. */
  | { readonly do: 'begin'; readonly port: number; readonly connections: number }
  /** Every connection sends its next request as soon as the last one is answered. */
  | { readonly do: 'saturate'; readonly kind: Kind; readonly seconds: number }
  /** So many requests a second over all connections, whatever the answers do; each connection reads and writes in turn. */
  | { readonly do: 'pace'; readonly perSecond: number; readonly seconds: number }
  /** So many requests, one after the other. */
  | { readonly do: 'count'; readonly kind: Kind; readonly requests: number }
  /** Begins so many sessions that nobody comes back to. */
  | { readonly do: 'fill'; readonly port: number; readonly connections: number; readonly sessions: number };

export interface Latency {
  readonly p50Millis: number;
  readonly p99Millis: number;
}

export interface SessionLoadResult {
  /** Answered with 200. */
  readonly requests: number;
  /** Answered otherwise, or not at all. */
  readonly errors: number;
  /** How long it really took. */
  readonly seconds: number;
  readonly latency: Readonly<Record<Kind, Latency>>;
}

/** A process that sends requests of clients with sessions, one keep-alive connection and one session each. */
export class SessionLoad implements AsyncDisposable {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(): Promise<SessionLoad> {
    return new SessionLoad((await startModule('session-load.main.ts')).child);
  }

  /** One at a time. Connections are opened before, and closed behind, whatever is counted and timed. */
  async run(request: SessionLoadRequest): Promise<SessionLoadResult> {
    const result = nextMessage(this.#child);
    this.#child.send(request);
    const answer = (await result) as SessionLoadResult | { readonly failed: string };
    if ('failed' in answer) throw new Error(`load generator: ${answer.failed}`);
    return answer;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return endProcess(this.#child);
  }
}
