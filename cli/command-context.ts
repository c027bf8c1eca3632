import type { Terminal } from './terminal.ts';

/** What every command gets. */
export interface CommandContext {
  readonly terminal: Terminal;
  readonly version: string;
  /** Exit status when the command ends without an error. */
  finish(status: number): void;
}
