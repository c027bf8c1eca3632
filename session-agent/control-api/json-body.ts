import type { IncomingMessage } from 'node:http';
import * as z from 'zod';
import { StickshiftError } from '../../protocol/errors.ts';

const MAX_BODY = 1024 * 1024;

/**
 * Reads and validates a JSON body.
 *
 * @throws StickshiftError `BAD_REQUEST` that says what is wrong with it
 */
export async function readJson<T>(request: IncomingMessage, schema: z.ZodType<T>): Promise<T> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > MAX_BODY)
      throw new StickshiftError('BAD_REQUEST', `the body is larger than ${MAX_BODY} bytes`);
    chunks.push(chunk);
  }
  const parsed = schema.safeParse(parse(Buffer.concat(chunks).toString()));
  if (!parsed.success) throw new StickshiftError('BAD_REQUEST', z.prettifyError(parsed.error));
  return parsed.data;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new StickshiftError('BAD_REQUEST', 'the body is not JSON', { cause: error });
  }
}
