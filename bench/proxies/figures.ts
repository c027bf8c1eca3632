import { median } from '../measure/statistics.ts';
import type { ProxyName } from './proxy.ts';

export const PROXY_PARTS = ['requests', 'latency', 'idle', 'bodies', 'connections', 'tls', 'logs'] as const;
export type ProxyPart = (typeof PROXY_PARTS)[number];

interface Figure {
  readonly part: ProxyPart;
  readonly title: string;
  /** Digits after the point. */
  readonly digits: number;
  /** Whether more of it is good or bad. */
  readonly better: 'more' | 'less';
}

const rates = (part: ProxyPart, what: string) => ({
  [`${part}.perSecond`]: { part, title: `${what}/s`, digits: 0, better: 'more' } as const,
  [`${part}.cpuMicros`]: {
    part,
    title: `CPU µs per ${what.slice(0, -1)}`,
    digits: 1,
    better: 'less',
  } as const,
});
const bodies = (name: string, what: string) => ({
  [`bodies.${name}.mibPerSecond`]: {
    part: 'bodies',
    title: `${what}, MiB/s`,
    digits: 0,
    better: 'more',
  } as const,
  [`bodies.${name}.cpuMicrosPerMib`]: {
    part: 'bodies',
    title: `${what}, CPU µs per MiB`,
    digits: 0,
    better: 'less',
  } as const,
});
const millis = (title: string) => ({ part: 'latency', title, digits: 2, better: 'less' }) as const;

/** Whatever is compared, in the order of the report. */
export const FIGURES: Readonly<Record<string, Figure>> = {
  ...rates('requests', 'requests'),
  'latency.p50Millis': millis('latency p50, ms'),
  'latency.p99Millis': millis('latency p99, ms'),
  'latency.p999Millis': millis('latency p99.9, ms'),
  'idle.kibPerConnection': { part: 'idle', title: 'idle connection, KiB', digits: 2, better: 'less' },
  'idle.baseMib': { part: 'idle', title: 'without connections, MiB', digits: 1, better: 'less' },
  ...bodies('smallDownload', '1 MiB download'),
  ...bodies('smallUpload', '1 MiB upload'),
  ...bodies('largeDownload', '100 MiB download'),
  ...bodies('largeUpload', '100 MiB upload'),
  ...rates('connections', 'connections'),
  ...rates('tls', 'TLS requests'),
  ...rates('logs', 'logged requests'),
};

/** Figure by proxy. */
export type Medians = Readonly<Record<string, Readonly<Partial<Record<ProxyName, number>>>>>;

/** Every single value that was measured. */
export class Samples {
  readonly #values: Record<string, Record<string, number[]>> = {};

  /** @param figure - a key of {@link FIGURES}, or one that only `--json` shows */
  add(figure: string, proxy: ProxyName, value: number): void {
    this.#values[figure] ??= {};
    this.#values[figure][proxy] ??= [];
    this.#values[figure][proxy].push(value);
  }

  raw(): Readonly<Record<string, Readonly<Record<string, readonly number[]>>>> {
    return this.#values;
  }

  medians(): Medians {
    const figures = Object.entries(this.#values).map(([figure, proxies]) => [
      figure,
      Object.fromEntries(Object.entries(proxies).map(([name, values]) => [name, median(values)])),
    ]);
    return Object.fromEntries(figures);
  }

  /** Of all figures by that name, whatever part they are of: a single failed request is worth knowing. */
  errors(): Readonly<Record<string, number>> {
    const sums: Record<string, number> = {};
    for (const [figure, proxies] of Object.entries(this.#values)) {
      if (!figure.endsWith('.errors')) continue;
      for (const [name, values] of Object.entries(proxies)) {
        const sum = values.reduce((total, value) => total + value, 0);
        if (sum > 0) sums[`${figure.slice(0, -'.errors'.length)} ${name}`] = sum;
      }
    }
    return sums;
  }
}
