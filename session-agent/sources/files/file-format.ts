/** What differs between the handlers that keep sessions in files. */
export interface FileFormat {
  /** What a session ID may be. It becomes part of a path, so nothing that leads elsewhere. */
  readonly id: RegExp;
  /**
   * Whether a session may be an empty file. Where it may, an empty file that was never seen with content is still no
   * session: the handler creates it so when a request begins.
   */
  readonly emptySession: boolean;
  /** How a file that is there already gets other content: under its lock, or by renaming a new file over it. */
  readonly replaces: 'in-place' | 'by-rename';
}

/**
 * PHP's `files` handler. It opens the file at `session_start`, holds an exclusive `flock` until the request ends, and
 * writes in place: a file renamed over the open one would orphan what PHP is about to write. `$_SESSION = []` leaves an
 * empty file.
 */
const php: FileFormat = { id: /^[-,a-zA-Z0-9]{1,256}$/, emptySession: true, replaces: 'in-place' };

/**
 * Handlers that write a temporary file and rename it. No dots in an ID: temporary files have them (`….tmp`,
 * `….__wz_cache`). A file that is empty is being written by a handler that does not rename.
 */
const generic: FileFormat = {
  id: /^[-_,=+@~%a-zA-Z0-9]{1,200}$/,
  emptySession: false,
  replaces: 'by-rename',
};

export const FILE_FORMATS = { php, generic } as const;
