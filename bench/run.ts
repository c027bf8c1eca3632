import { parseArgs } from 'node:util';
import { benchmarkDurability, PARTS } from './durability/durability.ts';
import { type BenchmarkOptions, benchmarkLanes } from './lanes.ts';
import { PROXY_PARTS } from './proxies/figures.ts';
import { benchmarkProxies } from './proxies/proxies.ts';

interface Benchmark {
  run(options: BenchmarkOptions): Promise<void>;
  readonly parts: readonly string[];
}

const BENCHMARKS: Readonly<Record<string, Benchmark>> = {
  lanes: { run: benchmarkLanes, parts: [] },
  durability: { run: benchmarkDurability, parts: PARTS },
  proxies: { run: benchmarkProxies, parts: PROXY_PARTS },
};
const DEFAULT_BASELINE = 'bench/baseline.json';

const USAGE = `npm run bench [-- <name>] [options]

  lanes       the gateway's two lanes beside bare http-proxy-3: requests per second, CPU per request, latency (the default)
  durability  what it costs that nothing is lost: held writes beside async ones, no agent at all, and connect-redis;
              commits, takeovers, draining, memory. Needs redis-server; takes about half an hour
  proxies     the gateway beside HAProxy, nginx, Caddy and http-proxy-3, as far as they are installed; takes about half an hour

  --rounds N        measurements of each, in turn; the medians count   (5)
  --seconds N       length of one measurement                          (5)
  --connections N   keep-alive connections of the load generator       (32)
  --only PART       only this part; may be repeated
                      durability: ${PARTS.join(', ')}
                      proxies: ${PROXY_PARTS.join(', ')}
  --save FILE       proxies: stores the figures
  --compare [FILE]  proxies: what has changed since the figures in FILE  (${DEFAULT_BASELINE})
  --json            one JSON object instead of a table; has every single measurement too
  --smoke           as short as can be: shows that it runs, not how fast
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  args: withBaseline(process.argv.slice(2)),
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    connections: { type: 'string', default: '32' },
    only: { type: 'string', multiple: true, default: [] },
    save: { type: 'string' },
    compare: { type: 'string' },
    json: { type: 'boolean', default: false },
    smoke: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const [name = 'lanes'] = positionals;
const benchmark = BENCHMARKS[name];
const wanted = new Set(values.only);
if (values.help || !benchmark || ![...wanted].every((part) => benchmark.parts.includes(part))) {
  process.stderr.write(USAGE);
  process.exit(values.help ? 0 : 2);
}
const { json, smoke, save, compare } = values;
const common = { json, smoke, save, compare, parts: [...wanted] };
const options: BenchmarkOptions = smoke
  ? { ...common, rounds: 1, seconds: 0.3, connections: 4 }
  : {
      ...common,
      rounds: Number(values.rounds),
      seconds: Number(values.seconds),
      connections: Number(values.connections),
    };
await benchmark.run(options);

/** `--compare` may stand alone, which parseArgs does not have. */
function withBaseline(args: readonly string[]): string[] {
  return args.map((arg, index) => {
    const next = args[index + 1];
    const alone = arg === '--compare' && (next === undefined || next.startsWith('-'));
    return alone ? `--compare=${DEFAULT_BASELINE}` : arg;
  });
}
