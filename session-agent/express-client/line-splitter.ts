const NEWLINE = 0x0a;

/**
 * Cuts a byte stream into lines. Works on bytes, not text, so that a chunk may end in the middle of a UTF-8 sequence;
 * collects chunks and joins them once per line, so that a long line costs no more than its length.
 */
export class LineSplitter {
  /** Longest line without its newline, bytes. */
  maxLine: number;
  #parts: Uint8Array[] = [];
  #partsLength = 0;

  constructor(maxLine: number) {
    this.maxLine = maxLine;
  }

  /** Yields the lines that `chunk` completes. Throws a `RangeError` as soon as a line is too long. */
  *push(chunk: Uint8Array): Generator<string> {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, start);
      const length = this.#partsLength + (end < 0 ? chunk.length : end) - start;
      if (length > this.maxLine) throw new RangeError(`a line is longer than ${this.maxLine} bytes`);
      const part = chunk.subarray(start, end < 0 ? chunk.length : end);
      if (end < 0) {
        if (part.length > 0) this.#parts.push(part);
        this.#partsLength = length;
        return;
      }
      const line = this.#parts.length > 0 ? Buffer.concat([...this.#parts, part]) : part;
      this.#parts = [];
      this.#partsLength = 0;
      start = end + 1;
      yield Buffer.from(line.buffer, line.byteOffset, line.byteLength).toString('utf8');
    }
  }
}
