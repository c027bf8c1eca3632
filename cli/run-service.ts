import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { EXIT } from './exit-status.ts';

export interface Service {
  /** Finishes what is under way, then resolves. */
  stop(): Promise<void>;
}

export interface RunServiceOptions {
  readonly logger: Logger;
  /** When {@link Service.stop} has not resolved after so long, the process ends all the same; milliseconds. */
  readonly stopWithinMs: number;
  readonly start: () => Promise<Service>;
}

const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/**
 * Runs a service until SIGTERM or SIGINT and stops it gently; a second signal ends the process at once. A signal that
 * comes during the start takes effect when the start is done.
 *
 * @returns exit status: 0, or 1 when it could not be stopped in time
 */
export async function runService({ logger, stopWithinMs, start }: RunServiceOptions): Promise<number> {
  const asked = Promise.withResolvers<NodeJS.Signals>();
  let signals = 0;
  const onSignal = (signal: NodeJS.Signals) => {
    signals += 1;
    if (signals > 1) {
      logger.warn({ signal }, 'asked twice to stop; ending at once');
      process.exit(EXIT.failed);
    }
    asked.resolve(signal);
  };
  // Going on after this would be going on with unknown damage. Whoever started the process starts it again.
  const onCrash = (err: Error, origin: string) => {
    logger.fatal({ err, origin }, 'crashed');
    process.exit(EXIT.failed);
  };
  for (const signal of STOP_SIGNALS) process.on(signal, onSignal);
  process.on('uncaughtException', onCrash);
  try {
    const service = await start();
    const signal = await asked.promise;
    logger.info({ signal, withinMs: stopWithinMs }, 'stopping');
    return await stopWithin(service, stopWithinMs, logger);
  } finally {
    for (const signal of STOP_SIGNALS) process.removeListener(signal, onSignal);
    process.removeListener('uncaughtException', onCrash);
  }
}

async function stopWithin(service: Service, deadlineMs: number, logger: Logger): Promise<number> {
  const patience = new AbortController();
  const tooLate = sleep(deadlineMs, 'too late' as const, { signal: patience.signal }).catch(() => undefined);
  const outcome = await Promise.race([service.stop(), tooLate]);
  patience.abort();
  if (outcome !== 'too late') return EXIT.ok;
  logger.error({ deadlineMs }, 'could not stop in time');
  return EXIT.failed;
}
