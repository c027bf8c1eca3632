import { type Column, formatTable } from '../../cli/table.ts';
import { FIGURES, type Medians } from './figures.ts';
import type { ProxyReport } from './proxies.ts';
import { PROXY_NAMES, type ProxyName } from './proxy.ts';

const BASE: ProxyName = 'haproxy';
/** Of a core; below it, something else than the proxy was at its limit. */
const SATURATED = 0.9;

/** For people: HAProxy's figures, and beside them each other proxy's as a multiple of them. */
export function proxiesReport(report: ProxyReport): string {
  const { medians, options, targets, rate } = report;
  const names = PROXY_NAMES.filter((name) => report.versions[name] !== undefined);
  const columns: Column[] = names.map((name) => ({ title: name, align: 'right' }));
  const rows = Object.entries(FIGURES)
    .filter(([figure]) => medians[figure])
    .map(([figure, { title, digits }]) => [
      title,
      ...names.map((name) => cell(medians, figure, name, digits)),
    ]);
  return [
    `medians of ${options.rounds} × ${options.seconds} s, ${options.connections} connections, 100-byte answers\n`,
    `${names.map((name) => `${name} ${report.versions[name]}`).join(', ')}\n`,
    coresLine(report),
    ...(rate === undefined ? [] : [latencyLine(medians, rate)]),
    ...(report.idleConnections === undefined ? [] : [`idle: ${report.idleConnections} connections\n`]),
    '\n',
    formatTable([{ title: '' }, ...columns], rows),
    ...ceilingLines(report),
    ...notes(report),
    ...(targets.length === 0
      ? []
      : [
          '\n',
          formatTable(
            [
              { title: 'target' },
              { title: 'goal', align: 'right' },
              { title: 'measured', align: 'right' },
              { title: '' },
            ],
            targets.map(({ what, goal, measured, met }) => [what, goal, measured, met ? 'met' : 'MISSED']),
          ),
        ]),
  ].join('');
}

/** What the load generator itself was late by is in every proxy's latency, and should be little of it. */
function latencyLine(medians: Medians, rate: number): string {
  const late = Math.max(...Object.values(medians['latency.lateP99Millis'] ?? {}));
  return `latency at ${rate} requests/s, from when a request was due; the load was late by ${late.toFixed(2)} ms (p99)\n`;
}

function cell(medians: Medians, figure: string, name: ProxyName, digits: number): string {
  const value = medians[figure]?.[name];
  if (value === undefined) return '–';
  const base = medians[figure]?.[BASE];
  if (name === BASE || base === undefined) return value.toFixed(digits);
  return `${(value / base).toFixed(2)}×  ${value.toFixed(digits)}`;
}

function coresLine({ cores, load }: ProxyReport): string {
  const where = cores
    ? `each proxy alone on core ${cores.measured}, load and app servers on ${cores.others.join(', ')}`
    : 'no process is pinned to a core';
  return `${where}; load by ${load}\n`;
}

/** Where requests per second say more of the load generator than of the proxy. */
function ceilingLines({ medians, ceiling }: ProxyReport): string[] {
  const lines: string[] = [];
  if (ceiling !== undefined) {
    lines.push(`load and app servers reach ${ceiling.toFixed(0)} requests/s without a proxy between\n`);
  }
  for (const part of ['requests', 'connections', 'tls', 'logs']) {
    const idle = Object.entries(medians[`${part}.coresBusy`] ?? {}).filter(([, busy]) => busy < SATURATED);
    if (idle.length === 0) continue;
    const who = idle.map(([name, busy]) => `${name} (${(busy * 100).toFixed(0)} % of its core)`).join(', ');
    lines.push(
      `${part}/s is a lower bound for ${who}: load and app servers, or the machine, were at their limit\n`,
    );
  }
  return lines;
}

function notes({ leftOut, errors }: ProxyReport): string[] {
  return [
    ...leftOut.map((line) => `left out: ${line}\n`),
    ...Object.entries(errors).map(([what, count]) => `NOT ANSWERED: ${what}: ${count} requests\n`),
  ];
}
