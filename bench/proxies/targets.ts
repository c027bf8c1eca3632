import type { Medians } from './figures.ts';
import type { ProxyName } from './proxy.ts';

export interface ProxyTarget {
  readonly what: string;
  /** As people read it. */
  readonly goal: string;
  readonly measured: string;
  readonly met: boolean;
}

const MOST_KIB_PER_CONNECTION = 4;

/** What was set as a goal for the gateway, beside what was measured. What was not measured is left out. */
export function judgeProxies(medians: Medians): ProxyTarget[] {
  const fast: ProxyName = 'stickshift-fast';
  return [
    ratio(medians, 'CPU per request, fast lane to HAProxy', ['requests.cpuMicros'], fast, 'haproxy', 1),
    ratio(medians, 'latency p99, fast lane to HAProxy', ['latency.p99Millis'], fast, 'haproxy', 1.25),
    ratio(
      medians,
      'CPU per MiB of large bodies, fast lane to HAProxy, worse direction',
      ['bodies.largeDownload.cpuMicrosPerMib', 'bodies.largeUpload.cpuMicrosPerMib'],
      fast,
      'haproxy',
      1.5,
    ),
    idle(medians, fast),
    ratio(
      medians,
      'CPU per request, full lane to http-proxy-3',
      ['requests.cpuMicros'],
      'stickshift-full',
      'http-proxy-3',
      1.3,
    ),
  ].filter((target) => target !== undefined);
}

function ratio(
  medians: Medians,
  what: string,
  figures: readonly string[],
  ours: ProxyName,
  theirs: ProxyName,
  most: number,
): ProxyTarget | undefined {
  const worst = Math.max(
    ...figures.map((figure) => {
      const { [ours]: a, [theirs]: b } = medians[figure] ?? {};
      return a === undefined || b === undefined ? Number.NaN : a / b;
    }),
  );
  if (Number.isNaN(worst)) return undefined;
  return { what, goal: `≤ ${most}×`, measured: `${worst.toFixed(2)}×`, met: worst <= most };
}

function idle(medians: Medians, name: ProxyName): ProxyTarget | undefined {
  const kib = medians['idle.kibPerConnection']?.[name];
  if (kib === undefined) return undefined;
  return {
    what: 'memory per idle connection, fast lane',
    goal: `≤ ${MOST_KIB_PER_CONNECTION} KiB`,
    measured: `${kib.toFixed(2)} KiB`,
    met: kib <= MOST_KIB_PER_CONNECTION,
  };
}
