import { parseArgs } from 'node:util';
import { fuzzLanes } from './lane-fuzz.ts';

const USAGE = `npm run fuzz -- [options]

  Sends a gateway damaged requests of many clients and looks whether any of them gets what is another's.

  --seconds N       how long (default 60)
  --seed S          repeats a run: the same seed gives the same bytes (default: chance)
  --concurrency N   clients at once (default 16)
  --help
`;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 32)) },
    concurrency: { type: 'string', default: '16' },
    help: { type: 'boolean' },
  },
});
if (values.help) {
  process.stdout.write(USAGE);
  process.exit();
}
const { seed } = values;
process.stdout.write(`seed ${seed}\n`);
const report = await fuzzLanes({
  seed,
  seconds: Number(values.seconds),
  concurrency: Number(values.concurrency),
});
process.stdout.write(
  `${report.streams} streams, of which the backend got ${report.requests} requests (${report.unmarked} without a marker); ` +
    `${report.good} answers to a well-behaved client meanwhile; nothing amiss\n`,
);
