import type { IncomingMessage } from 'node:http';
import type * as z from 'zod';
import { StickshiftError } from '../protocol/errors.ts';

const TIMEOUT_MS = 10_000;

/**
 * Reads and validates a JSON body.
 *
 * @param maxBytes - a longer one is refused
 * @throws StickshiftError `BAD_REQUEST` that says what is wrong with it, `REQUEST_TIMEOUT`, `CLIENT_ABORTED`
 */
export async function readJsonBody<Body>(
  request: IncomingMessage,
  schema: z.ZodType<Body>,
  maxBytes: number,
): Promise<Body> {
  // A browser can send any other type to another site without asking first.
  if (!/^application\/json\s*(;|$)/i.test(request.headers['content-type'] ?? '')) {
    throw new StickshiftError('BAD_REQUEST', 'expected Content-Type: application/json');
  }
  const parsed = schema.safeParse(parse(await readText(request, maxBytes)));
  if (!parsed.success) throw new StickshiftError('BAD_REQUEST', describeProblem(parsed.error));
  return parsed.data;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new StickshiftError('BAD_REQUEST', 'the body is not JSON', { cause: error });
  }
}

function readText(request: IncomingMessage, maxBytes: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const chunks: Buffer[] = [];
  let length = 0;
  const timer = setTimeout(
    () => reject(new StickshiftError('REQUEST_TIMEOUT', 'the body did not arrive in time')),
    TIMEOUT_MS,
  );
  request.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length <= maxBytes) chunks.push(chunk);
    else reject(new StickshiftError('BAD_REQUEST', `the body exceeds ${maxBytes} bytes`));
  });
  request.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
  request.on('error', (error) =>
    reject(new StickshiftError('CLIENT_ABORTED', 'the body ended early', { cause: error })),
  );
  return promise.finally(() => clearTimeout(timer));
}

/** Names the keys but never repeats the values: one of them may be a session ID. */
function describeProblem(error: z.ZodError): string {
  const [issue] = error.issues;
  if (!issue || issue.path.length === 0) return `the body is not as expected: ${issue?.message ?? 'invalid'}`;
  return `${issue.path.join('.')}: ${issue.message}`;
}
