import { join } from 'node:path';

/** How session IDs and file names become each other. */
export class FileNaming {
  readonly #prefix: string;
  readonly #suffix: string;
  readonly #depth: number;
  readonly #id: RegExp;

  /**
   * @param pattern - file name with `{id}` in it once
   * @param depth - how many leading characters of the ID name a subdirectory each
   * @param id - what a session ID looks like; must not match anything with a slash in it
   */
  constructor(pattern: string, depth: number, id: RegExp) {
    [this.#prefix = '', this.#suffix = ''] = pattern.split('{id}');
    this.#depth = depth;
    this.#id = id;
  }

  /** The session ID of a file, by its path from the session directory; `undefined` when it is no session's. */
  idOf(path: string): string | undefined {
    const name = path.slice(path.lastIndexOf('/') + 1);
    if (!name.startsWith(this.#prefix) || !name.endsWith(this.#suffix)) return undefined;
    const id = name.slice(this.#prefix.length, name.length - this.#suffix.length);
    return this.pathOf(id) === path ? id : undefined;
  }

  /** The path of a session's file from the session directory; `undefined` when this is no session ID. */
  pathOf(id: string): string | undefined {
    if (!this.#id.test(id) || id.length <= this.#depth) return undefined;
    return join(...id.slice(0, this.#depth), `${this.#prefix}${id}${this.#suffix}`);
  }
}
