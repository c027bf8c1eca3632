/** A value of the Redis protocol, as far as an observer needs it: bulk and simple strings are text in Latin-1. */
export type RespValue = string | number | null | readonly RespValue[] | { readonly error: string };

export interface RespMessage {
  /** Pushed by the server without having been asked. */
  readonly push: boolean;
  readonly value: RespValue;
}

const CR_LF = '\r\n';

/** Reads the Redis protocol (RESP2 and 3) from chunks of any size. */
export class RespReader {
  #received = '';

  /** Messages that are complete with this chunk, in order. */
  read(chunk: Buffer): RespMessage[] {
    this.#received += chunk.toString('latin1');
    const messages: RespMessage[] = [];
    let at = 0;
    for (;;) {
      const parsed = parseValue(this.#received, at);
      if (parsed === undefined) break;
      messages.push({ push: this.#received[at] === '>', value: parsed.value });
      at = parsed.end;
    }
    this.#received = this.#received.slice(at);
    return messages;
  }
}

interface Parsed {
  readonly value: RespValue;
  readonly end: number;
}

/** undefined: the value is not there in full yet. */
function parseValue(text: string, start: number): Parsed | undefined {
  const lineEnd = text.indexOf(CR_LF, start);
  if (lineEnd < 0) return undefined;
  const line = text.slice(start + 1, lineEnd);
  const end = lineEnd + CR_LF.length;
  switch (text[start]) {
    case '+':
    case '(':
    case ',':
      return { value: line, end };
    case '-':
      return { value: { error: line }, end };
    case ':':
      return { value: Number(line), end };
    case '#':
      return { value: line === 't' ? 1 : 0, end };
    case '_':
      return { value: null, end };
    case '$':
    case '=':
    case '!':
      return parseBulk(text, end, Number(line));
    case '*':
    case '~':
    case '>':
      return parseList(text, end, Number(line));
    case '%':
      return parseList(text, end, 2 * Number(line));
    default:
      throw new Error(`not the Redis protocol: ${JSON.stringify(text.slice(start, start + 40))}`);
  }
}

function parseBulk(text: string, start: number, length: number): Parsed | undefined {
  if (length < 0) return { value: null, end: start };
  const end = start + length + CR_LF.length;
  return text.length < end ? undefined : { value: text.slice(start, start + length), end };
}

function parseList(text: string, start: number, count: number): Parsed | undefined {
  if (count < 0) return { value: null, end: start };
  const values: RespValue[] = [];
  let end = start;
  for (let index = 0; index < count; index++) {
    const item = parseValue(text, end);
    if (item === undefined) return undefined;
    values.push(item.value);
    end = item.end;
  }
  return { value: values, end };
}
