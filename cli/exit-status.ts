/** What the shell gets. `docs/cli.md` explains them to scripts. */
export const EXIT = {
  ok: 0,
  /** The operation did not succeed, or a check found something. */
  failed: 1,
  /** The command line or the configuration is wrong; nothing was done. */
  usage: 2,
} as const;

/** Ends a command with a message for people, which says what to do. */
export class CommandError extends Error {
  readonly status: number;

  constructor(message: string, options: ErrorOptions & { readonly status?: number } = {}) {
    super(message, options);
    this.name = 'CommandError';
    this.status = options.status ?? EXIT.failed;
  }
}
