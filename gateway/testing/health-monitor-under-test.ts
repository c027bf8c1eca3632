import type { TestContext } from 'node:test';
import { createHealthMonitor } from '../health/health-monitor.ts';
import { type FakeServer, json, startFakeServer } from './fake-server.ts';
import { recordedLog } from './recorded-log.ts';
import { backendOf, testPool } from './test-pool.ts';

export const ready = (over: object = {}): FakeServer['answer'] => {
  return (_, response) =>
    json(response, 200, {
      backend: 'app-1',
      application: 'shop',
      incarnation: 'i-1',
      ready: true,
      ...over,
    });
};
export const ok: FakeServer['answer'] = (_, response) => response.end('ok');
export const status = (code: number): FakeServer['answer'] => {
  return (_, response) => response.writeHead(code, { location: '/elsewhere' }).end();
};
/** A long pause: only checks that are prompted follow the first. */
export const RARELY = { interval: '1h', timeout: '5s' };
export const OFTEN = { interval: '10ms', timeout: '5s' };

/** One backend `app-1` with a real app server and agent, and `app-2` that the test may set as it likes. */
export async function startMonitor(
  t: TestContext,
  options: {
    app?: FakeServer['answer'];
    agent?: FakeServer['answer'];
    health?: { interval?: string; timeout?: string; rise?: number; fall?: number; path?: string };
    now?: () => number;
  } = {},
) {
  const app = await startFakeServer(t, options.app ?? ok);
  const agent = await startFakeServer(t, options.agent ?? ready());
  const pool = testPool(
    { 'app-1': { url: app.url, agent: agent.url }, 'app-2': {} },
    { health: options.health ?? RARELY, ejection: { failures: 3, duration: '5s' } },
  );
  const log = recordedLog();
  const monitor = createHealthMonitor({
    pools: [pool],
    agentToken: 'the-token',
    logger: log.logger,
    ...(options.now && { now: options.now }),
  });
  t.after(() => monitor.stop());
  const backend = backendOf(pool, 'app-1');
  const other = backendOf(pool, 'app-2');
  const otherAccepts = () => {
    other.appUp = true;
    other.agentUp = true;
  };
  return { app, agent, pool, log, monitor, backend, other, otherAccepts };
}

export const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
