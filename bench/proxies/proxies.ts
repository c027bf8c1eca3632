import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { arch, cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BenchmarkOptions } from '../lanes.ts';
import { startAppServers } from '../processes/app-servers.ts';
import { type Cores, shareCores } from '../processes/cores.ts';
import { raiseFileLimit } from '../processes/file-limit.ts';
import { versionOf } from '../processes/foreign-process.ts';
import { ProxyLoad } from '../processes/proxy-load.ts';
import { measureBodies } from './bodies.ts';
import { makeCertificate } from './certificate.ts';
import { type Change, changes, comparisonReport, type Stored } from './comparison.ts';
import { type Medians, PROXY_PARTS, type ProxyPart, Samples } from './figures.ts';
import { measureIdle } from './idle.ts';
import { measureLatency } from './latency.ts';
import { type Lineup, type Surroundings, startLineup } from './lineup.ts';
import type { ProxyName } from './proxy.ts';
import { proxiesReport } from './report.ts';
import { measureCeiling, measureSaturated } from './saturation.ts';
import { type ProxySizes, sizesOf } from './sizes.ts';
import { judgeProxies, type ProxyTarget } from './targets.ts';

const WANTED_FILES = 65_536;
/** Client connections that each proxy allows. */
const MOST_CONNECTIONS = 16_384;
const SERVERS = ['app-1', 'app-2'];

/** What `--json` prints and `--save` stores. */
export interface ProxyReport extends Stored {
  readonly takenAt: string;
  readonly options: ProxySizes;
  readonly cores: Cores | undefined;
  /** Which load generator sent what goes as fast as it can. */
  readonly load: string;
  readonly versions: Readonly<Partial<Record<ProxyName, string>>>;
  readonly leftOut: readonly string[];
  /** Requests per second at which latency was measured. */
  readonly rate: number | undefined;
  /** Requests per second without a proxy. */
  readonly ceiling: number | undefined;
  readonly idleConnections: number | undefined;
  readonly medians: Medians;
  readonly samples: ReturnType<Samples['raw']>;
  /** Requests that were not answered, by part and proxy. */
  readonly errors: Readonly<Record<string, number>>;
  readonly targets: readonly ProxyTarget[];
  readonly changes?: readonly Change[];
}

/**
 * The gateway beside the proxies that one would take otherwise. All of them have the same app servers and the same clients, a cookie that
 * binds each client, and one core; they take turns, and every round begins with another one.
 */
export async function benchmarkProxies(options: BenchmarkOptions): Promise<void> {
  // Read first: half an hour is long for a name that is misspelt.
  const stored = options.compare === undefined ? undefined : readStored(options.compare);
  const directory = mkdtempSync(join(tmpdir(), 'stickshift-bench-'));
  // A signal alone would end this process without an `exit` event, and leave what is not ours running, and this directory.
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  process.once('SIGINT', () => process.exit(130));
  process.once('SIGTERM', () => process.exit(143));
  process.once('SIGHUP', () => process.exit(129));
  const report = await run(options, directory);
  const compared = stored ? { ...report, changes: changes(stored.medians, report.medians) } : report;
  if (options.save !== undefined) writeFileSync(options.save, `${JSON.stringify(report, null, 2)}\n`);
  if (options.json) {
    process.stdout.write(`${JSON.stringify(compared)}\n`);
    return;
  }
  process.stdout.write(proxiesReport(report));
  if (stored) process.stdout.write(comparisonReport(stored, report, options.compare ?? ''));
}

async function run(options: BenchmarkOptions, directory: string): Promise<ProxyReport> {
  await using cleanup = new AsyncDisposableStack();
  // Starting all of it is most of what a smoke run does, and goes faster on every core.
  const cores = options.smoke ? undefined : shareCores();
  const fileLimit = raiseFileLimit(WANTED_FILES);
  const sizes = sizesOf(options, fileLimit);
  const { ports } = cleanup.use(await startAppServers(SERVERS));
  const load = cleanup.use(await ProxyLoad.start());
  const servers = SERVERS.map((name, index) => ({ name, port: ports[index] ?? 0 }));
  const surroundings: Surroundings = { servers, load, cores, directory, connections: MOST_CONNECTIONS };
  const wrkVersion = options.smoke ? undefined : versionOf('sh', ['-c', 'wrk -v; true'], /^wrk (\S+)/);
  const wrk = wrkVersion !== undefined && wrkVersion !== 'unknown';
  const samples = new Samples();
  const seen = new Seen();
  const parts = options.parts.length === 0 ? PROXY_PARTS : options.parts;
  const wanted = (part: ProxyPart) => parts.includes(part);
  const progress = (part: ProxyPart) => {
    if (!options.json) process.stderr.write(`measuring ${part} …\n`);
  };
  const saturate = (lineup: Lineup, part: 'requests' | 'connections' | 'tls' | 'logs', more: object = {}) => {
    progress(part);
    return measureSaturated(surroundings, lineup, sizes, samples, { part, wrk, ...more });
  };

  let rate: number | undefined;
  let ceiling: number | undefined;
  if ((['requests', 'latency', 'bodies', 'connections'] as const).some(wanted)) {
    await using lineup = await startLineup(surroundings);
    seen.add(lineup);
    if (wanted('requests')) {
      ceiling = await measureCeiling(surroundings, sizes, wrk);
      await saturate(lineup, 'requests');
    }
    if (wanted('latency')) {
      progress('latency');
      rate = await measureLatency(surroundings, lineup, sizes, samples);
    }
    if (wanted('connections')) await saturate(lineup, 'connections', { close: true });
    if (wanted('bodies')) {
      progress('bodies');
      await measureBodies(surroundings, lineup, sizes, samples);
    }
  }
  if (wanted('idle')) {
    progress('idle');
    seen.add(await measureIdle(surroundings, sizes, samples));
  }
  if (wanted('logs')) {
    await using lineup = await startLineup(surroundings, { accessLog: true });
    seen.add(lineup, 'logs');
    await saturate(lineup, 'logs');
  }
  if (wanted('tls')) {
    const certificate = makeCertificate(directory);
    if (certificate) {
      await using lineup = await startLineup(surroundings, { certificate });
      seen.add(lineup, 'tls');
      await saturate(lineup, 'tls', { tls: true });
    } else {
      seen.leftOut.add('tls: openssl is not installed');
    }
  }

  const medians = samples.medians();
  return {
    takenAt: new Date().toISOString(),
    machine: machine(),
    options: sizes,
    cores,
    load: wrk
      ? `wrk ${wrkVersion}`
      : `the benchmark's own process${options.smoke ? '' : ', as wrk is not installed'}`,
    versions: seen.versions,
    leftOut: [...seen.leftOut],
    rate,
    ceiling,
    idleConnections: wanted('idle') ? sizes.idle : undefined,
    medians,
    samples: samples.raw(),
    errors: samples.errors(),
    targets: judgeProxies(medians),
  };
}

/** Who was compared, and who was not, over all parts. */
class Seen {
  readonly versions: Partial<Record<ProxyName, string>> = {};
  readonly leftOut = new Set<string>();

  /** @param part - given, whoever is left out is so in this part only */
  add(lineup: Pick<Lineup, 'proxies' | 'leftOut'>, part?: ProxyPart): void {
    for (const [name, { version }] of lineup.proxies) this.versions[name] = version;
    for (const [name, reason] of lineup.leftOut) {
      if (part && this.leftOut.has(`${name}: ${reason}`)) continue;
      this.leftOut.add(part ? `${name}, ${part}: ${reason}` : `${name}: ${reason}`);
    }
  }
}

function readStored(file: string): Stored {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Stored;
  } catch (error) {
    throw new Error(`no figures to compare with in ${file}; --save ${file} stores some`, { cause: error });
  }
}

function machine() {
  const [cpu] = cpus();
  return { cpu: cpu?.model, cores: cpus().length, arch: arch(), kernel: release(), node: process.version };
}
