/** Where a command reads its surroundings and writes its answer; tests bring their own. */
export interface Terminal {
  readonly env: NodeJS.ProcessEnv;
  /** What was asked for. */
  out(text: string): void;
  /** What went wrong, and progress. */
  err(text: string): void;
  /** Progress may overwrite itself on standard error. */
  readonly interactive: boolean;
  /** All of standard input. */
  readInput(): Promise<string>;
}

export function processTerminal(): Terminal {
  return {
    env: process.env,
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    interactive: process.stderr.isTTY === true,
    async readInput() {
      let input = '';
      for await (const chunk of process.stdin) input += chunk;
      return input;
    },
  };
}
