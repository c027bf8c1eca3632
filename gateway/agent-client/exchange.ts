import { type Agent, request as httpRequest, type IncomingMessage } from 'node:http';

/** Answers of an agent are small; whatever is longer is not one. */
const MAX_ANSWER_BYTES = 256 * 1024;

export interface Exchange {
  readonly url: URL;
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly agent: Agent;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

export interface ExchangeAnswer {
  readonly status: number;
  readonly body: string;
  /** Attempts after the first. */
  readonly resends: number;
}

/** Why there is no answer. */
export class ExchangeFailure extends Error {
  /** No connection came about, so that nothing was sent. */
  readonly neverSent: boolean;
  /** What came is no HTTP, or longer than any answer can be. */
  readonly nonsense: boolean;
  /** A kept-alive connection turned out to be closed already: the other side may never have seen the call. */
  readonly stale: boolean;

  constructor(
    message: string,
    state: { neverSent?: boolean; nonsense?: boolean; stale?: boolean; cause?: Error },
  ) {
    super(message, state.cause && { cause: state.cause });
    this.neverSent = state.neverSent ?? false;
    this.nonsense = state.nonsense ?? false;
    this.stale = state.stale ?? false;
  }
}

/**
 * One HTTP call. A connection that was kept alive and breaks before a byte of the answer is the usual way to learn that the
 * agent restarted; the call is then sent once more, on a connection of its own. That may run it twice, which is harmless:
 * every operation of the control API is idempotent.
 *
 * @throws ExchangeFailure
 */
export async function exchange(options: Exchange): Promise<ExchangeAnswer> {
  const started = performance.now();
  try {
    return { ...(await attempt(options, options.agent, options.timeoutMs)), resends: 0 };
  } catch (failure) {
    const left = options.timeoutMs - (performance.now() - started);
    if (!(failure instanceof ExchangeFailure && failure.stale) || left <= 0) throw failure;
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

    const settle = () => {
      clearTimeout(timer);
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
      fail(
        new ExchangeFailure(cause.message, {
          neverSent: connecting,
          stale,
          nonsense: isParseError(cause),
          cause,
        }),
      );
    };
    const abort = () => fail(new ExchangeFailure('given up by the caller', { neverSent: connecting }));
    const timer = setTimeout(
      () =>
        fail(new ExchangeFailure(`no answer within ${Math.round(timeoutMs)} ms`, { neverSent: connecting })),
      timeoutMs,
    );

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
      readBody(response).then(
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

async function readBody(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_ANSWER_BYTES) {
      throw new ExchangeFailure(`an answer of more than ${MAX_ANSWER_BYTES} bytes`, { nonsense: true });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length).toString('utf8');
}

function isReset(error: Error): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ECONNRESET' || code === 'EPIPE';
}

function isParseError(error: Error): boolean {
  return (error as NodeJS.ErrnoException).code?.startsWith('HPE_') ?? false;
}
