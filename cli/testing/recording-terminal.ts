import type { Terminal } from '../terminal.ts';

/** A terminal that keeps what a command writes. */
export class RecordingTerminal implements Terminal {
  readonly env: NodeJS.ProcessEnv;
  readonly interactive: boolean;
  readonly #input: string;
  stdout = '';
  stderr = '';

  constructor(options: { env?: NodeJS.ProcessEnv; input?: string; interactive?: boolean } = {}) {
    this.env = options.env ?? {};
    this.#input = options.input ?? '';
    this.interactive = options.interactive ?? false;
  }

  // Commander takes these off the object.
  out = (text: string): void => {
    this.stdout += text;
  };
  err = (text: string): void => {
    this.stderr += text;
  };

  readInput(): Promise<string> {
    return Promise.resolve(this.#input);
  }
}
