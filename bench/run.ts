import { parseArgs } from 'node:util';
import { benchmarkDurability, PARTS } from './durability/durability.ts';
import { type BenchmarkOptions, benchmarkFullLane } from './full-lane.ts';

const BENCHMARKS: Readonly<Record<string, (options: BenchmarkOptions) => Promise<void>>> = {
  'full-lane': benchmarkFullLane,
  durability: benchmarkDurability,
};

const USAGE = `npm run bench [-- <name>] [options]

  full-lane   the gateway beside bare http-proxy-3: requests per second, CPU per request, latency (the default)
  durability  what it costs that nothing is lost: held writes beside async ones, no agent at all, and connect-redis;
              commits, takeovers, draining, memory. Needs redis-server; takes about half an hour

  --rounds N        measurements of each, in turn; the medians count   (5)
  --seconds N       length of one measurement                          (5)
  --connections N   keep-alive connections of the load generator       (32)
  --only PART       durability: only this part; may be repeated        (${PARTS.join(', ')})
  --json            one JSON object instead of a table; has every single measurement too
  --smoke           as short as can be: shows that it runs, not how fast
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    connections: { type: 'string', default: '32' },
    only: { type: 'string', multiple: true, default: [] },
    json: { type: 'boolean', default: false },
    smoke: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const [name = 'full-lane'] = positionals;
const benchmark = BENCHMARKS[name];
const parts = PARTS.filter((part) => values.only.includes(part));
if (values.help || !benchmark || parts.length < new Set(values.only).size) {
  process.stderr.write(USAGE);
  process.exit(values.help ? 0 : 2);
}
const { json, smoke } = values;
const options: BenchmarkOptions = smoke
  ? { rounds: 1, seconds: 0.3, connections: 4, json, smoke, parts }
  : {
      rounds: Number(values.rounds),
      seconds: Number(values.seconds),
      connections: Number(values.connections),
      json,
      smoke,
      parts,
    };
await benchmark(options);
