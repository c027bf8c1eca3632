import { type Logger, pino } from 'pino';

export interface RecordedLog {
  readonly logger: Logger;
  readonly lines: readonly Readonly<Record<string, unknown>>[];
  /** Lines whose message matches. */
  matching(message: RegExp): readonly Readonly<Record<string, unknown>>[];
}

/** A logger whose lines a test can read; with `STICKSHIFT_TEST_LOG` set, so can you. */
export function recordedLog(): RecordedLog {
  const lines: Record<string, unknown>[] = [];
  const logger = pino(
    // Without the name of this machine, in which a test may find what it must not.
    { level: 'debug', base: null },
    {
      write: (line: string) => {
        lines.push(JSON.parse(line));
        if (process.env.STICKSHIFT_TEST_LOG) process.stderr.write(line);
      },
    },
  );
  return {
    logger,
    lines,
    matching: (message) => lines.filter((line) => message.test(String(line.msg))),
  };
}
