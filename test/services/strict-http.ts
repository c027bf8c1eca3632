/**
 * An HTTP/1.1 message reader that forgives nothing. It exists to disagree: whatever a lenient server might read
 * in two ways is a violation here, so that tests can tell that what left the gateway has one reading only.
 * All text is latin1, one character per octet.
 */
export interface StrictHead {
  /** Start line and header lines as received, without their line ends. */
  readonly lines: readonly string[];
  /** Names in lower case, in the order received. */
  readonly headers: readonly (readonly [name: string, value: string])[];
}

export interface StrictRequest extends StrictHead {
  readonly method: string;
  readonly target: string;
  readonly body: string;
  readonly trailers: readonly (readonly [name: string, value: string])[];
}

export interface StrictResponse extends StrictHead {
  readonly status: number;
  readonly body: string;
  readonly trailers: readonly (readonly [name: string, value: string])[];
}

/** What a run of bytes on one connection is made of. */
export interface Reading<Message> {
  readonly messages: readonly Message[];
  /** Bytes after the last whole message. */
  readonly rest: string;
  /** Why `rest` can never become a message; undefined when it is only incomplete or empty. */
  readonly violation: string | undefined;
}

class Violation extends Error {}
/** Thrown inside the reader when the bytes so far are fine and not enough. */
class Incomplete extends Error {}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const REQUEST_LINE = new RegExp(`^(${TOKEN}) ([\\x21-\\x7e\\x80-\\xff]+) HTTP/1\\.1$`);
const STATUS_LINE = /^HTTP\/1\.1 (\d{3}) [\t\x20-\x7e\x80-\xff]*$/;
const FIELD_LINE = new RegExp(
  `^(${TOKEN}):[ \\t]*((?:[\\x21-\\x7e\\x80-\\xff](?:[\\t\\x20-\\x7e\\x80-\\xff]*[\\x21-\\x7e\\x80-\\xff])?)?)[ \\t]*$`,
);

/** Reads every request on one connection. */
export function readRequests(bytes: Buffer): Reading<StrictRequest> {
  return readMessages(bytes, (cursor) => {
    const line = cursor.line();
    const match = REQUEST_LINE.exec(line);
    if (!match) throw new Violation('malformed request line');
    const { headers, lines } = readHead(cursor, line);
    if (valuesOf(headers, 'host').length !== 1) throw new Violation('not exactly one Host');
    const { body, trailers } = readBody(cursor, headers, 'none');
    return { method: match[1] ?? '', target: match[2] ?? '', headers, lines, body, trailers };
  });
}

/**
 * Reads every response on one connection, interim ones (1xx) too.
 *
 * @param methods - methods of the requests they answer, in order: an answer to HEAD has no body
 * @param closed - whether the connection has ended, which ends a body of unknown length
 */
export function readAllResponses(
  bytes: Buffer,
  methods: readonly string[],
  closed: boolean,
): Reading<StrictResponse> {
  let answered = 0;
  return readMessages(bytes, (cursor) => {
    const line = cursor.line();
    const match = STATUS_LINE.exec(line);
    if (!match) throw new Violation('malformed status line');
    const status = Number(match[1]);
    const head = { status, ...readHead(cursor, line) };
    if (status < 200) return { ...head, body: '', trailers: [] };
    const bodiless = methods[answered] === 'HEAD' || status === 204 || status === 304;
    answered += 1;
    if (bodiless) return { ...head, body: '', trailers: [] };
    return { ...head, ...readBody(cursor, head.headers, closed ? 'to the end' : 'unknown') };
  });
}

/** Like {@link readAllResponses}, with interim ones left out. */
export function readResponses(
  bytes: Buffer,
  methods: readonly string[],
  closed: boolean,
): Reading<StrictResponse> {
  const reading = readAllResponses(bytes, methods, closed);
  return { ...reading, messages: reading.messages.filter(({ status }) => status >= 200) };
}

export function valuesOf(headers: StrictHead['headers'], name: string): string[] {
  return headers.filter(([candidate]) => candidate === name).map(([, value]) => value);
}

function readMessages<Message>(bytes: Buffer, readOne: (cursor: Cursor) => Message): Reading<Message> {
  const cursor = new Cursor(bytes.toString('latin1'));
  const messages: Message[] = [];
  let start = 0;
  try {
    while (!cursor.atEnd()) {
      messages.push(readOne(cursor));
      start = cursor.position;
    }
  } catch (error) {
    const rest = cursor.text.slice(start);
    if (error instanceof Incomplete) return { messages, rest, violation: undefined };
    if (error instanceof Violation) return { messages, rest, violation: error.message };
    throw error;
  }
  return { messages, rest: '', violation: undefined };
}

class Cursor {
  readonly text: string;
  position = 0;

  constructor(text: string) {
    this.text = text;
  }

  atEnd(): boolean {
    return this.position === this.text.length;
  }

  /** The next line, which must end in CRLF and hold neither of the two otherwise. */
  line(): string {
    const end = this.text.indexOf('\r\n', this.position);
    const line = this.text.slice(this.position, end < 0 ? undefined : end);
    const stray = end < 0 ? /[\0\n]|\r(?!$)/ : /[\0\r\n]/;
    if (stray.test(line))
      throw new Violation(`stray control octet in line ${JSON.stringify(line.slice(0, 80))}`);
    if (end < 0) throw new Incomplete();
    this.position = end + 2;
    return line;
  }

  take(length: number): string {
    if (this.text.length - this.position < length) throw new Incomplete();
    this.position += length;
    return this.text.slice(this.position - length, this.position);
  }

  takeAll(): string {
    return this.take(this.text.length - this.position);
  }
}

function readHead(cursor: Cursor, startLine: string): StrictHead {
  const begin = cursor.position;
  const headers = readFields(cursor);
  const text = cursor.text.slice(begin, cursor.position - 2);
  return { headers, lines: [startLine, ...text.split('\r\n').slice(0, -1)] };
}

function readFields(cursor: Cursor): (readonly [string, string])[] {
  const fields: (readonly [string, string])[] = [];
  for (let line = cursor.line(); line !== ''; line = cursor.line()) {
    const match = FIELD_LINE.exec(line);
    if (!match) throw new Violation(`malformed header line ${JSON.stringify(line.slice(0, 80))}`);
    fields.push([(match[1] ?? '').toLowerCase(), match[2] ?? '']);
  }
  return fields;
}

function readBody(
  cursor: Cursor,
  headers: StrictHead['headers'],
  unframed: 'none' | 'to the end' | 'unknown',
): { body: string; trailers: (readonly [string, string])[] } {
  const lengths = valuesOf(headers, 'content-length');
  const codings = valuesOf(headers, 'transfer-encoding');
  if (lengths.length + codings.length > 1)
    throw new Violation('more than one statement of the body’s length');
  if (codings.length === 1) {
    if (codings[0]?.toLowerCase() !== 'chunked') throw new Violation(`Transfer-Encoding: ${codings[0]}`);
    return readChunks(cursor);
  }
  if (lengths.length === 1) {
    if (!/^\d{1,15}$/.test(lengths[0] ?? '')) throw new Violation(`Content-Length: ${lengths[0]}`);
    return { body: cursor.take(Number(lengths[0])), trailers: [] };
  }
  if (unframed === 'unknown') throw new Incomplete();
  return { body: unframed === 'none' ? '' : cursor.takeAll(), trailers: [] };
}

function readChunks(cursor: Cursor): { body: string; trailers: (readonly [string, string])[] } {
  let body = '';
  for (;;) {
    const line = cursor.line();
    if (!/^[0-9a-fA-F]{1,8}$/.test(line))
      throw new Violation(`chunk size ${JSON.stringify(line.slice(0, 80))}`);
    const size = Number.parseInt(line, 16);
    if (size === 0) return { body, trailers: readFields(cursor) };
    body += cursor.take(size);
    if (cursor.take(2) !== '\r\n') throw new Violation('chunk data is not followed by CRLF');
  }
}
