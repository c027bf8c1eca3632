import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type ConfigInput, configSchema } from '../../config/schema.ts';
import type { AgentReport, BackendStatus } from '../../gateway/admin-api/admin-api-types.ts';
import { startGateway } from '../../gateway/gateway.ts';
import { recordedLog } from '../../gateway/testing/recorded-log.ts';
import { deriveSecrets } from '../../protocol/secrets.ts';
import { startAgent } from '../../session-agent/agent.ts';
import { openSource } from '../../session-agent/sources/open-source.ts';
import { openStore } from '../../store/open-store.ts';
import { eventually } from '../services/eventually.ts';
import { statusOf } from '../services/gateway-status.ts';
import { ShopServer, TEST_SECRET } from '../services/shop-server.ts';

async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'stickshift-wrong-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** A gateway with a store of its own choice, before one app server that has this agent. */
async function gatewayBefore(
  t: TestContext,
  { url, agent, secret, storeUrl }: { url: string; agent: string; secret: string; storeUrl: string },
) {
  const config = configSchema.parse({
    secret,
    store: { url: storeUrl },
    gateway: { listen: '127.0.0.1:0', admin: { listen: '127.0.0.1:0' } },
    pools: {
      shop: {
        session: { cookie: 'connect.sid', format: 'express' },
        health: { interval: '50ms', rise: 1 },
        backends: { 'app-1': { url, agent } },
      },
    },
  } satisfies ConfigInput);
  const log = recordedLog();
  const { installation } = deriveSecrets(secret);
  const store = await openStore(config.store, { installation, logger: log.logger });
  const gateway = await startGateway({ config, logger: log.logger, store });
  t.after(async () => {
    await gateway.stop();
    await store.close();
  });
  const status = async (): Promise<BackendStatus> => {
    const answer = await statusOf(gateway);
    const backend = answer.pools[0]?.backends[0];
    assert.ok(backend);
    return backend;
  };
  return { url: gateway.url, status, log };
}

async function shopServer(t: TestContext, directory: string): Promise<ShopServer> {
  const server = new ShopServer('app-1', {
    storeUrl: `sqlite:${join(directory, 'sessions.sqlite')}`,
    socket: join(directory, 'app.sock'),
  });
  await server.start();
  t.after(() => server.stop());
  return server;
}

test('an agent with another secret gets no client, and everybody is told why', async (t) => {
  const directory = await temporaryDirectory(t);
  const server = await shopServer(t, directory);
  const gateway = await gatewayBefore(t, {
    url: server.url,
    agent: server.agentUrl,
    secret: 'another secret than that of the agent, and long enough',
    storeUrl: `sqlite:${join(directory, 'other.sqlite')}`,
  });
  const { up, appUp, agent } = await gateway.status();
  assert.deepEqual([up, appUp], [false, true]);
  assert.deepEqual(agent, { state: 'unreachable', code: 'AGENT_INVALID' } satisfies AgentReport);
  const lines = gateway.log.lines.filter(({ reason }) => /same secret/.test(String(reason)));
  assert.ok(lines.length > 0);
  assert.doesNotMatch(JSON.stringify(gateway.log.lines), /Bearer|another secret/);
  const answer = await fetch(`${gateway.url}/cart/tea`, { method: 'POST' });
  assert.equal(answer.status, 503);
  assert.match(answer.headers.get('proxy-status') ?? '', /details="NO_BACKEND"/);
});

/** An agent beside no app, that announces its backend. */
async function agentAlone(t: TestContext, directory: string, name: string): Promise<string> {
  const storeUrl = `sqlite:${join(directory, 'sessions.sqlite')}`;
  const { agents, store: storeConfig } = configSchema.parse({
    secret: TEST_SECRET,
    store: { url: storeUrl },
    agents: {
      'app-1': {
        pool: 'shop',
        listen: '127.0.0.1:0',
        source: { type: 'express', listen: join(directory, `${name}.sock`) },
        journal: { directory: join(directory, `${name}-journal`) },
      },
    },
  } satisfies ConfigInput);
  const config = agents['app-1'];
  assert.ok(config);
  const { logger } = recordedLog();
  const { agentToken: token, installation } = deriveSecrets(TEST_SECRET);
  const store = await openStore(storeConfig, { installation, logger });
  const agent = await startAgent({
    config,
    name: 'app-1',
    secret: TEST_SECRET,
    store,
    source: await openSource({ config, backend: 'app-1', token, logger }),
    logger,
    application: 'shop',
    backendUrl: `http://${name}`,
  });
  t.after(async () => {
    await agent.stop();
    await store.close();
  });
  await eventually('a backend is announced', async () => (await store.backends()).length === 1);
  return `http://${agent.address}`;
}

test('of two agents that claim one backend the second is not ready, and the status says whom it met', async (t) => {
  const directory = await temporaryDirectory(t);
  const storeUrl = `sqlite:${join(directory, 'sessions.sqlite')}`;
  const reportOf = async (agent: string) => {
    const gateway = await gatewayBefore(t, {
      url: 'http://127.0.0.1:9',
      agent,
      secret: TEST_SECRET,
      storeUrl,
    });
    return async () => {
      const { agent: report } = await gateway.status();
      return report.state === 'ok' ? report : undefined;
    };
  };
  const first = await agentAlone(t, directory, 'first');
  const second = await agentAlone(t, directory, 'second');
  const reports = await reportOf(second);
  const barred = await eventually('the second has met the first', async () => {
    const report = await reports();
    return /another agent/.test(report?.reason ?? '') && report;
  });
  assert.equal(barred.ready, false);
  assert.equal(
    barred.reason,
    `another agent, at ${first}, announces backend app-1: stop one of them, or give it another ID`,
  );
  const report = await eventually('the first answers', await reportOf(first));
  assert.equal(report.reason, 'waiting for the app', 'it goes on as it was');
});
