/*
 * Run by run-service.test.ts as a process of its own, because it is about signals. The first argument says how the
 * service behaves: `gentle` stops when asked, `stubborn` never does, `broken` throws while it runs, `slow` takes until
 * the second line on standard input to start.
 */
import { pino } from 'pino';
import { runService } from '../run-service.ts';

const behaviour = process.argv[2];

process.exitCode = await runService({
  logger: pino(),
  stopWithinMs: behaviour === 'stubborn' ? Number(process.argv[3]) : 60_000,
  start: async () => {
    // Keeps the process alive, as an open port would.
    const alive = setInterval(() => undefined, 1_000);
    if (behaviour === 'slow') {
      process.stdout.write('starting\n');
      await new Promise((resolve) => process.stdin.once('data', resolve));
    }
    process.stdout.write('started\n');
    if (behaviour === 'broken') setImmediate(() => Promise.reject(new Error('nobody caught this')));
    return {
      stop: async () => {
        process.stdout.write('stopped\n');
        if (behaviour === 'stubborn') await new Promise(() => undefined);
        clearInterval(alive);
        process.stdin.destroy();
      },
    };
  },
});
if (behaviour === 'stubborn') process.exit();
