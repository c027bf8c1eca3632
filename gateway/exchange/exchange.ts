import { type Agent, request as httpRequest, type IncomingMessage } from 'node:http';

export interface Exchange {
  readonly url: URL;
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  /** `false`: a connection of its own, which proves that connecting works. */
  readonly agent: Agent | false;
  readonly timeoutMs: number;
  /** Bytes of the answer that are read. */
  readonly maxBytes: number;
  /** What becomes of a longer answer: the exchange fails, or the rest is never read. */
  readonly overlong: 'fails' | 'is-cut';
  readonly signal?: AbortSignal | undefined;
}

export interface ExchangeAnswer {
  readonly status: number;
  readonly body: string;
  /** Attempts after the first. */
  readonly resends: number;
}

/**
 * - `refused`: somebody is there, but nobody listens on the port; nothing was sent
 * - `unreachable`: no connection came about for another reason; nothing was sent
 * - `late`: it took longer than it may, or the caller gave up
 * - `broken`: the connection ended before the answer did
 * - `nonsense`: what came is no HTTP, or longer than it may be
 */
export type FailureKind = 'refused' | 'unreachable' | 'late' | 'broken' | 'nonsense';

/** Why there is no answer. */
export class ExchangeFailure extends Error {
  readonly kind: FailureKind;
  /** A kept-alive connection turned out to be closed already: the other side may never have seen the request. */
  readonly stale: boolean;

  constructor(kind: FailureKind, message: string, options?: ErrorOptions & { stale?: boolean }) {
    super(message, options);
    this.kind = kind;
    this.stale = options?.stale ?? false;
  }
}

/**
 * One small HTTP request of the gateway's own, bounded in time and size. Redirects are not followed. A connection that was
 * kept alive and breaks before a byte of the answer is the usual way to learn that the other side restarted; the request
 * is then sent once more, on a connection of its own. So it may run twice: send nothing that is not idempotent.
 *
 * @throws ExchangeFailure
 */
export async function exchange(options: Exchange): Promise<ExchangeAnswer> {
  const started = performance.now();
  try {
    return { ...(await attempt(options, options.agent, options.timeoutMs)), resends: 0 };
  } catch (failure) {
    if (!(failure instanceof ExchangeFailure)) {
      // node:http throws at once for what it cannot even try, such as a URL that is not http:.
      const message = failure instanceof Error ? failure.message : String(failure);
      throw new ExchangeFailure('unreachable', message, { cause: failure });
    }
    const left = options.timeoutMs - (performance.now() - started);
    if (!failure.stale || left <= 0) throw failure;
    return { ...(await attempt(options, false, left)), resends: 1 };
  }
}

function attempt(
  options: Exchange,
  agent: Agent | false,
  timeoutMs: number,
): Promise<Omit<ExchangeAnswer, 'resends'>> {
  const { url, method, headers, body, signal } = options;
  return new Promise((resolve, reject) => {
    let connecting = false;
    let answered = false;
    const request = httpRequest(url, { method, headers, agent });

    let lastLook: NodeJS.Immediate | undefined;
    const settle = () => {
      clearTimeout(timer);
      clearImmediate(lastLook);
      signal?.removeEventListener('abort', abort);
    };
    // A request that still waits for a connection tells nobody that it was destroyed: so reject first.
    const fail = (failure: ExchangeFailure) => {
      settle();
      reject(failure);
      request.destroy();
    };
    const failBy = (cause: Error) => {
      const stale = request.reusedSocket && !answered && isReset(cause);
      fail(new ExchangeFailure(kindOf(cause, connecting), cause.message, { stale, cause }));
    };
    const abort = () => fail(new ExchangeFailure('late', 'given up by the caller'));
    const late = () => {
      const what = connecting ? 'no connection' : 'no answer';
      fail(
        new ExchangeFailure(
          connecting ? 'unreachable' : 'late',
          `${what} within ${Math.round(timeoutMs)} ms`,
        ),
      );
    };
    // A process that stood still runs its timers first. An answer that has come meanwhile is read before it is missed.
    const timer = setTimeout(() => {
      lastLook = setImmediate(late);
    }, timeoutMs);

    signal?.addEventListener('abort', abort);
    request.on('socket', (socket) => {
      connecting = socket.connecting;
      if (connecting) {
        socket.once('connect', () => {
          connecting = false;
        });
      }
    });
    request.on('error', failBy);
    request.on('response', (response) => {
      answered = true;
      readBody(response, options).then(
        (text) => {
          settle();
          resolve({ status: response.statusCode ?? 0, body: text });
        },
        (error: Error) => (error instanceof ExchangeFailure ? fail(error) : failBy(error)),
      );
    });
    if (signal?.aborted) abort();
    else request.end(body);
  });
}

async function readBody(
  response: IncomingMessage,
  { maxBytes, overlong }: Pick<Exchange, 'maxBytes' | 'overlong'>,
): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  // Leaving this loop early destroys the connection; it could not be used again with half an answer in it.
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxBytes && overlong === 'fails') {
      throw new ExchangeFailure('nonsense', `an answer of more than ${maxBytes} bytes`);
    }
    chunks.push(chunk);
    if (length > maxBytes) break;
  }
  return Buffer.concat(chunks, Math.min(length, maxBytes)).toString('utf8');
}

function kindOf(error: NodeJS.ErrnoException, connecting: boolean): FailureKind {
  if (error.code === 'ECONNREFUSED') return 'refused';
  if (connecting) return 'unreachable';
  return error.code?.startsWith('HPE_') ? 'nonsense' : 'broken';
}

function isReset(error: NodeJS.ErrnoException): boolean {
  return error.code === 'ECONNRESET' || error.code === 'EPIPE';
}
