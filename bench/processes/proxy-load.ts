import type { ChildProcess } from 'node:child_process';
import { endProcess, nextMessage, startModule } from './child-process.ts';

interface Where {
  readonly port: number;
  readonly connections: number;
  /** Default: false. */
  readonly tls?: boolean;
}

export type ProxyLoadTask =
  /** Every connection sends its next request as soon as the last one is answered. */
  | (Where & { readonly do: 'saturate'; readonly seconds: number })
  /** The same with a new connection for each request. */
  | (Where & { readonly do: 'connect'; readonly seconds: number })
  /** So many requests a second, whatever the answers do. */
  | (Where & { readonly do: 'pace'; readonly perSecond: number; readonly seconds: number })
  /** Opens connections, has one answer on each, and keeps them until `release`. */
  | (Where & { readonly do: 'hold' })
  /** Closes them. Those that the proxy has closed before count as errors. */
  | { readonly do: 'release' }
  /** Bodies of so many bytes, one after the other on each connection. */
  | (Where & {
      readonly do: 'bodies';
      readonly direction: 'download' | 'upload';
      readonly bytes: number;
      readonly seconds: number;
    })
  /** Clients that have been given their cookies, several requests each. */
  | (Where & { readonly do: 'bind' });

export interface ProxyLoadResult {
  /** Answered with 200. */
  readonly requests: number;
  /** Answered otherwise, or not at all. */
  readonly errors: number;
  /** How long it really took. */
  readonly seconds: number;
  /** `pace`: from when a request was due to its answer. */
  readonly latency?: {
    readonly p50Millis: number;
    readonly p99Millis: number;
    readonly p999Millis: number;
    /** By how much the load generator itself was late: 99th percentile of due to sent, with a connection free. */
    readonly lateP99Millis: number;
  };
  /** `bind`: the Cookie header of each client, and which app servers answered it. */
  readonly clients?: readonly { readonly cookie: string; readonly servers: readonly string[] }[];
}

/** A process that plays the clients of a proxy: each has a session, and the cookies that it has been given. */
export class ProxyLoad implements AsyncDisposable {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(): Promise<ProxyLoad> {
    return new ProxyLoad((await startModule('proxy-load.main.ts')).child);
  }

  /** One at a time. */
  async run(task: ProxyLoadTask): Promise<ProxyLoadResult> {
    const result = nextMessage(this.#child);
    this.#child.send(task);
    const answer = (await result) as ProxyLoadResult | { readonly failed: string };
    if ('failed' in answer) throw new Error(`load generator, ${task.do}: ${answer.failed}`);
    return answer;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return endProcess(this.#child);
  }
}
