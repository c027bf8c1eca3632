import type { IncomingHttpHeaders } from 'node:http';
import type { AnswerHead } from '../delivery/answer-rules.ts';
import { HOP_BY_HOP, nominatedHeaders } from '../forwarding/hop-by-hop.ts';
import { CONTENT_LENGTH } from '../forwarding/request-check.ts';
import { backendResponseHeaders, mayHaveBody } from '../forwarding/response-headers.ts';
import { FieldLines } from './field-lines.ts';
import { FieldNames } from './field-names.ts';
import { END_OF_HEAD } from './head-end.ts';

type AnswerFieldFate = 'forward' | 'drop';

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?\r\n/;
/** Completes a status line that has only begun. */
const ORDINARY = 'HTTP/1.1 200';
/** As many as fit into the largest head with three octets each and their ends. */
const MOST_FIELDS = 4_096;
const KEEP_ALIVE = /(?:^|[\s,])keep-alive(?:[\s,]|$)/;
const CLOSE = /(?:^|[\s,])close(?:[\s,]|$)/;
const TIMEOUT = /(?:^|[\s,])timeout=(\d{1,9})(?:[\s,]|$)/i;
/** What decisions read of every answer; a pool's rules add to it. */
const READ = ['content-type', 'date'] as const;
const READ_ONCE: ReadonlySet<string> = new Set(READ);

/** Reads answers of backends. One object serves a lane: it holds what it read last until it reads the next head. */
export class AnswerHeadReader implements AnswerHead {
  status = 0;
  reason = '';
  /** Only those that decisions read. */
  headers: IncomingHttpHeaders = {};
  contentLength: number | undefined;
  isChunked = false;
  /** The backend keeps its connection, and says where its answer ends without closing it. */
  keepAlive = true;
  /** How long the backend keeps a connection that is idle, milliseconds; `Infinity`: it does not say. */
  keepsForMs = Number.POSITIVE_INFINITY;
  readonly lines: FieldLines<AnswerFieldFate>;
  /** Headers that this answer's Connection header names. */
  #nominated: ReadonlySet<string> | undefined;
  readonly #connection;
  readonly #contentLength;
  readonly #transferEncoding;
  readonly #setCookie;
  readonly #keepAlive;

  /** @param alsoRead - lower-cased names of further headers that decisions read */
  constructor(alsoRead: Iterable<string>) {
    const read = new Set<string>([...READ, ...alsoRead]);
    const framing = ['connection', 'content-length', 'transfer-encoding', 'set-cookie'];
    const fateOf = (name: string) => (HOP_BY_HOP.has(name) ? 'drop' : 'forward');
    const names = new FieldNames<AnswerFieldFate>([...framing, ...HOP_BY_HOP, ...read], fateOf, (name) =>
      read.has(name),
    );
    this.lines = new FieldLines(names, MOST_FIELDS);
    this.#connection = names.of('connection');
    this.#contentLength = names.of('content-length');
    this.#transferEncoding = names.of('transfer-encoding');
    this.#setCookie = names.of('set-cookie');
    this.#keepAlive = names.of('keep-alive');
  }

  /**
   * Whether what there is of a head may become one. Whoever sends anything else is told so at once, as Node's parser does it, and
   * not when he falls silent.
   *
   * @param text - without the end of the head, one character per octet
   */
  mayBegin(text: string): boolean {
    const end = text.lastIndexOf('\r\n');
    if (end !== -1) return this.read(`${text.slice(0, end)}${END_OF_HEAD}`, end);
    const begun = text.endsWith('\r') ? text.slice(0, -1) : text;
    return STATUS_LINE.test(`${begun}${ORDINARY.slice(begun.length)}\r\n`);
  }

  /**
   * @param text - begins with the head, one character per octet
   * @param end - where its last CRLF CRLF begins
   * @returns false when it is no answer that has one reading only
   */
  read(text: string, end: number): boolean {
    const { lines } = this;
    const line = STATUS_LINE.exec(text);
    if (!line || !lines.read(text, line[0].length, end + 2)) return false;
    this.status = Number(line[2]);
    this.reason = line[3] ?? '';
    const isOld = line[1] === '0';
    this.keepsForMs = Number.POSITIVE_INFINITY;
    this.contentLength = undefined;
    this.isChunked = false;
    this.#nominated = undefined;
    const headers: IncomingHttpHeaders = { 'content-type': undefined, 'set-cookie': undefined };
    let connection: string | undefined;
    for (let index = 0; index < lines.count; index++) {
      const name = lines.name(index);
      if (name.isRead) {
        const { lower } = name;
        const earlier = headers[lower];
        // As Node reads several of a name.
        if (earlier === undefined) headers[lower] = lines.value(text, index);
        else if (!READ_ONCE.has(lower)) headers[lower] = `${earlier}, ${lines.value(text, index)}`;
      } else if (name === this.#setCookie) {
        headers['set-cookie'] ??= [];
        headers['set-cookie'].push(lines.value(text, index));
      } else if (name === this.#contentLength) {
        const length = lines.value(text, index);
        if (this.contentLength !== undefined || !CONTENT_LENGTH.test(length)) return false;
        this.contentLength = Number(length);
      } else if (name === this.#transferEncoding) {
        if (this.isChunked || lines.value(text, index).toLowerCase() !== 'chunked') return false;
        this.isChunked = true;
      } else if (name === this.#connection) {
        const options = lines.value(text, index);
        connection = connection === undefined ? options : `${connection}, ${options}`;
      } else if (name === this.#keepAlive) {
        const seconds = TIMEOUT.exec(lines.value(text, index))?.[1];
        if (seconds !== undefined) this.keepsForMs = Number(seconds) * 1000;
      }
    }
    // Both of them: somebody in between may have gone by the other one.
    if (this.isChunked && this.contentLength !== undefined) return false;
    const options = connection?.toLowerCase() ?? '';
    this.#nominated = options === 'keep-alive' ? undefined : nominatedHeaders(options);
    this.keepAlive = isOld ? KEEP_ALIVE.test(options) : !CLOSE.test(options);
    const isDelimited =
      this.isChunked || this.contentLength !== undefined || !mayHaveBody('GET', this.status);
    // To HEAD as well: a backend that does not say how long its body is may send one.
    if (!isDelimited) this.keepAlive = false;
    this.headers = headers;
    return true;
  }

  /** The lines for the client as they stand, without those of the connection; what the full lane sends of them, octet for octet. */
  forwardedLines(text: string): string {
    if (this.#nominated) return joined(backendResponseHeaders(this.rawHeaders(text)));
    const { lines } = this;
    let kept = '';
    // Lines that follow each other are taken together.
    let from = -1;
    for (let index = 0; index < lines.count; index++) {
      const start = lines.start[index] as number;
      const isKept = lines.name(index).fate === 'forward';
      const isPlain = isKept && lines.isPlain(text, index);
      if (isPlain) {
        if (from === -1) from = start;
        continue;
      }
      if (from !== -1) kept += text.slice(from, start);
      from = -1;
      if (isKept) kept += `${text.slice(start, text.indexOf(':', start))}: ${lines.value(text, index)}\r\n`;
    }
    return from === -1 ? kept : kept + text.slice(from, lines.end[lines.count - 1]);
  }

  /** Names and values in turn, as received. */
  rawHeaders(text: string): string[] {
    const { lines } = this;
    const raw: string[] = [];
    for (let index = 0; index < lines.count; index++) {
      const start = lines.start[index] as number;
      raw.push(text.slice(start, text.indexOf(':', start)), lines.value(text, index));
    }
    return raw;
  }
}

/** @param headers - names and values in turn */
export function joined(headers: readonly string[]): string {
  let lines = '';
  for (let index = 0; index < headers.length; index += 2)
    lines += `${headers[index]}: ${headers[index + 1]}\r\n`;
  return lines;
}
