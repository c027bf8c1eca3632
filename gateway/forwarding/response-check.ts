import { StickshiftError } from '../../protocol/errors.ts';

/** An answer's head as a parser leaves it; `http.IncomingMessage` is one. */
interface ReceivedAnswer {
  readonly statusCode?: number | undefined;
  readonly statusMessage?: string | undefined;
  readonly headers: { readonly 'transfer-encoding'?: string | undefined };
}

const REASON = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * What is wrong with an answer that its parser has let pass, and that no client may get; `undefined` when nothing is. Node's parser
 * takes control octets in a reason phrase, switched protocols that nobody asked for, and codings that nobody undoes.
 */
export function answerFlaw({
  statusCode = 0,
  statusMessage = '',
  headers,
}: ReceivedAnswer): StickshiftError | undefined {
  if (statusCode < 200) return invalid(`status ${statusCode}`);
  if (!REASON.test(statusMessage)) return invalid('the reason phrase');
  const coding = headers['transfer-encoding'];
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') return invalid('Transfer-Encoding');
  return undefined;
}

function invalid(what: string): StickshiftError {
  return new StickshiftError('BACKEND_INVALID', `the answer is invalid: ${what}`);
}
