import { runChaos } from './chaos-run.ts';
import { type ChaosOptions, readOptions, USAGE } from './options.ts';
import { formatReport } from './report/format-report.ts';
import { isBroken } from './report/report.ts';

const CANNOT_RUN = 2;
const INTERRUPTED = 130;

const options = optionsOrExit();
const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    // Asked twice: the supervisor kills what is left when the process exits.
    if (interruption.signal.aborted) process.exit(INTERRUPTED);
    interruption.abort();
  });
}

const print = (line: string) => process.stderr.write(`${line}\n`);
print(`seed ${options.seed}`);
try {
  const report = await runChaos(options, { onProgress: print }, interruption.signal);
  process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : formatReport(report));
  process.exitCode = isBroken(report) ? 1 : 0;
} catch (error) {
  if (interruption.signal.aborted) {
    print('interrupted');
    process.exitCode = INTERRUPTED;
  } else {
    print(error instanceof Error ? (error.stack ?? error.message) : String(error));
    process.exitCode = CANNOT_RUN;
  }
}

function optionsOrExit(): ChaosOptions {
  try {
    const read = readOptions(process.argv.slice(2));
    if (read !== 'help') return read;
    process.stdout.write(USAGE);
    process.exit(0);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    process.exit(CANNOT_RUN);
  }
}
