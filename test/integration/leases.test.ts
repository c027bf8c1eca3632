import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import pino from 'pino';
import { configSchema } from '../../config/schema.ts';
import { AGENT_API, type AgentReadiness, type LeaseAnswer } from '../../protocol/agent-api.ts';
import { deriveSecrets } from '../../protocol/secrets.ts';
import { startAgent } from '../../session-agent/agent.ts';
import type { LeasesOptions } from '../../session-agent/leases/leases.ts';
import { LeaseHolder } from '../../session-agent/testing/lease-holder.ts';
import { MemorySource } from '../../session-agent/testing/memory-source.ts';
import { MemoryStore } from '../../session-agent/testing/memory-store.ts';
import { eventually } from '../services/eventually.ts';

const SECRET = 'a secret of the tests, long enough to be one';
const authorization = `Bearer ${deriveSecrets(SECRET).agentToken}`;

const directory = await mkdtemp(join(tmpdir(), 'stickshift-leases-'));
after(() => rm(directory, { recursive: true }));

/** An agent with its control API, as a gateway meets it, in front of an app and a store in memory. */
async function start(leases: LeasesOptions, journal: string, app = new MemorySource()) {
  const store = new MemoryStore();
  const agents = {
    'app-1': {
      pool: 'shop',
      listen: '127.0.0.1:0',
      source: { type: 'express' as const, listen: '127.0.0.1:1' },
      journal: { directory: join(directory, journal) },
    },
  };
  const config = configSchema.parse({ secret: SECRET, agents }).agents['app-1'] ?? assert.fail();
  const agent = await startAgent({
    ...{ config, name: 'app-1', secret: SECRET, application: 'shop', source: app, store, leases },
    logger: pino({ enabled: false }),
  });
  const post = (path: string, body: object) =>
    fetch(`http://${agent.address}${path}`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body: JSON.stringify({ backend: 'app-1', ...body }),
    });
  const readiness = async () =>
    (await (await fetch(`http://${agent.address}${AGENT_API.ready}`)).json()) as AgentReadiness;
  app.listener.attached();
  await eventually('the agent is ready', async () => (await readiness()).ready);
  return {
    ...{ agent, app, store, post, readiness },
    async [Symbol.asyncDispose]() {
      await agent.stop();
    },
    gateway: (name: string) =>
      LeaseHolder.start(name, async (request) => {
        const response = await post(AGENT_API.lease, request);
        assert.equal(response.status, 200, await response.clone().text());
        return (await response.json()) as LeaseAnswer;
      }),
  };
}

type Installation = Awaited<ReturnType<typeof start>>;

async function save({ app, post }: Installation, ...sessionIds: string[]): Promise<void> {
  for (const id of sessionIds) app.write(id, 'one pear');
  const response = await post(AGENT_API.commit, { sessionIds, timeoutMs: 10_000 });
  assert.equal(response.status, 200);
}

const FIRST_CALL = { gateway: 'one', seen: -1, acknowledged: [], wait: false };

test('a session is released when both gateways have let go of it', async () => {
  await using site = await start({ formerLife: false }, 'both');
  await save(site, 'alice');
  await using one = await site.gateway('one');
  await using two = await site.gateway('two');
  const { promise, resolve } = Promise.withResolvers<boolean>();
  two.agrees = () => promise;

  const release = site.post(AGENT_API.release, { sessionId: 'alice' });
  await eventually('both are asked', () => one.recalls.length > 0 && two.recalls.length > 0);
  assert.equal(site.app.text('alice'), 'one pear');
  resolve(true);
  assert.deepEqual(await (await release).json(), { outcome: 'released', epoch: 1, seq: 1 });
  assert.equal(site.app.text('alice'), undefined);
});

test('a drain takes the sessions back by the hundred', async () => {
  await using site = await start({ formerLife: false }, 'drain');
  const ids = Array.from({ length: 600 }, (_, number) => `session-${number}`);
  for (const id of ids) site.app.write(id, 'cart');
  await using gateway = await site.gateway('one');
  let released = 0;
  await eventually('all are released', async () => {
    const response = await site.post(AGENT_API.releaseIdle, { except: [], limit: 200 });
    const answer = (await response.json()) as { released: number; remaining: number };
    released += answer.released;
    return answer.remaining === 0;
  });
  assert.equal(released, 600);
  assert.deepEqual(gateway.recalled.toSorted(), ids.toSorted());
  assert.ok(gateway.recalls.length < 10);
});

test('a gateway that vanishes holds nothing up for longer than its lease', async () => {
  await using site = await start({ formerLife: false, ttlMs: 300 }, 'vanishes');
  await save(site, 'alice');
  const gateway = await site.gateway('one');
  await gateway.fallSilent();
  const response = await site.post(AGENT_API.release, { sessionId: 'alice' });
  assert.partialDeepStrictEqual(await response.json(), { outcome: 'released' });
});

test('an agent that was started anew knows no lease, and waits out those of its former life', async () => {
  const app = new MemorySource();
  const former = await start({ formerLife: false }, 'anew', app);
  const { recall } = (await (await former.post(AGENT_API.lease, FIRST_CALL)).json()) as LeaseAnswer;
  await former.agent.stop();

  await using site = await start({ ttlMs: 300 }, 'anew', app);
  const late = await site.post(AGENT_API.lease, { ...FIRST_CALL, seen: recall });
  assert.equal(late.status, 503);
  assert.partialDeepStrictEqual(await late.json(), { error: { code: 'LEASE_REFUSED', retrySafe: true } });
  await save(site, 'alice');
  const response = await site.post(AGENT_API.release, { sessionId: 'alice' });
  assert.partialDeepStrictEqual(await response.json(), { outcome: 'released' });
});

test('an agent that stops and gives its sessions up still hears gateways', async () => {
  const site = await start({ formerLife: false }, 'gives-up');
  await save(site, 'alice', 'bob');
  await using gateway = await site.gateway('one');
  await site.agent.stop({ release: true });
  await eventually('the gateway hears that the agent is gone', () => gateway.failure !== undefined);
  assert.deepEqual(gateway.recalled, ['alice', 'bob']);
  for (const record of site.store.records.values()) assert.equal(record.state, 'released');
});

test('a lease names the life of the agent that granted it', async () => {
  await using site = await start({ formerLife: false }, 'names');
  const answer = (await (await site.post(AGENT_API.lease, FIRST_CALL)).json()) as LeaseAnswer;
  assert.equal(answer.incarnation, (await site.readiness()).incarnation);
  assert.equal(answer.renewed, answer.recall);
});

for (const [what, body, status] of [
  ['no gateway', { ...FIRST_CALL, gateway: '' }, 400],
  ['a number that cannot be', { ...FIRST_CALL, seen: -2 }, 400],
  ['nonsense for acknowledgements', { ...FIRST_CALL, acknowledged: ['all'] }, 400],
  ['the name of another backend', { ...FIRST_CALL, backend: 'app-2' }, 503],
] as const) {
  test(`a call for a lease with ${what} is refused`, async () => {
    await using site = await start({ formerLife: false }, 'refused');
    assert.equal((await site.post(AGENT_API.lease, body)).status, status);
  });
}
