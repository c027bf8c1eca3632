import { parseArgs } from 'node:util';
import { type BenchmarkOptions, benchmarkFullLane } from './full-lane.ts';

const BENCHMARKS: Readonly<Record<string, (options: BenchmarkOptions) => Promise<void>>> = {
  'full-lane': benchmarkFullLane,
};

const USAGE = `npm run bench [-- <name>] [options]

  full-lane   the gateway beside bare http-proxy-3: requests per second, CPU per request, latency

  --rounds N        measurements of each, in turn; the medians count   (5)
  --seconds N       length of one measurement                          (5)
  --connections N   keep-alive connections of the load generator       (32)
  --json            one JSON object instead of a table
  --smoke           as short as can be: shows that it runs, not how fast
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    connections: { type: 'string', default: '32' },
    json: { type: 'boolean', default: false },
    smoke: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const [name = 'full-lane'] = positionals;
const benchmark = BENCHMARKS[name];
if (values.help || !benchmark) {
  process.stderr.write(USAGE);
  process.exit(values.help ? 0 : 2);
}
const options: BenchmarkOptions = values.smoke
  ? { rounds: 1, seconds: 0.3, connections: 4, json: values.json }
  : {
      rounds: Number(values.rounds),
      seconds: Number(values.seconds),
      connections: Number(values.connections),
      json: values.json,
    };
await benchmark(options);
