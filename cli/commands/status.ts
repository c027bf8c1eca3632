import type { Command } from 'commander';
import type { BackendStatus, StatusAnswer } from '../../gateway/admin-api/admin-api-types.ts';
import { type AdminOptions, connectToGateway, withAdminOptions } from '../admin-access.ts';
import { notesOn } from '../backend-notes.ts';
import type { CommandContext } from '../command-context.ts';
import { gatewayTotals } from '../gateway-totals.ts';
import { counted, readableDuration } from '../readable.ts';
import { type Column, formatTable } from '../table.ts';

export function addStatusCommand(program: Command, { terminal }: CommandContext): void {
  withAdminOptions(program.command('status'))
    .description('show the pools, their backends, and how their sessions are')
    .option('--json', 'print the gateway’s answer as JSON')
    .action(async (options: AdminOptions & { json?: boolean }) => {
      const gateway = await connectToGateway(options, terminal.env);
      const status = await gateway.status();
      terminal.out(
        options.json ? `${JSON.stringify(status)}\n` : formatStatus(status, gateway.url, Date.now()),
      );
    });
}

const COLUMNS: readonly Column[] = [
  { title: 'POOL' },
  { title: 'BACKEND' },
  { title: 'STATE' },
  { title: 'HEALTH' },
  { title: 'IN FLIGHT', align: 'right' },
  { title: 'SESSIONS', align: 'right' },
  { title: 'NOT SAVED YET', align: 'right' },
  { title: 'AT RISK', align: 'right' },
  { title: 'UNPROTECTED', align: 'right' },
  { title: 'EXPOSURE', align: 'right' },
];

/** @param now - milliseconds since 1970 */
export function formatStatus(status: StatusAnswer, url: string, now: number): string {
  const backends = status.pools.flatMap((pool) => pool.backends);
  const up = backends.filter((backend) => backend.up).length;
  const running = `running for ${readableDuration(now - status.gateway.startedAt)}`;
  const head = `Gateway at ${url}: ${status.ready ? 'ready' : 'NOT READY'}, ${running}; ${up} of ${counted(backends.length, 'backend')} up\n`;
  const table = formatTable(
    COLUMNS,
    backends.map((backend) => row(backend, now)),
  );
  const notes = [
    ...status.pools
      .filter(({ accepting }) => accepting === 0)
      .map(({ name }) => `${name}: NO BACKEND TAKES NEW CLIENTS`),
    ...backends.flatMap((backend) => notesOn(backend, now)),
  ];
  return [head, table, lines(gatewayTotals(status.gateway, now)), lines(notes)]
    .filter((part) => part !== '')
    .join('\n');
}

function lines(texts: readonly string[]): string {
  return texts.map((text) => `${text}\n`).join('');
}

function row(backend: BackendStatus, now: number): string[] {
  const { agent } = backend;
  const sessions =
    agent.state === 'ok'
      ? [
          ...[agent.sessions, agent.dirty, agent.atRisk, agent.unprotected].map(String),
          readableDuration(agent.exposureMs),
        ]
      : ['?', '?', '?', '?', '?'];
  return [
    backend.pool,
    backend.id,
    backend.adminState,
    health(backend, now),
    `${backend.inFlight}`,
    ...sessions,
  ];
}

function health(backend: BackendStatus, now: number): string {
  const { appUp, agentUp, agent, ejectedUntil = 0 } = backend;
  const answers = agent.state === 'ok';
  // An agent that answers is not what is dead: without its app it can but say that it is not ready.
  if (!appUp) return agentUp || answers ? 'DOWN: app' : 'DOWN: app and agent';
  if (!agentUp) return answers && !agent.ready ? 'DOWN: agent not ready' : 'DOWN: agent';
  if (ejectedUntil > now) return `EJECTED for ${readableDuration(ejectedUntil - now)}`;
  return backend.up ? 'up' : 'DOWN';
}
