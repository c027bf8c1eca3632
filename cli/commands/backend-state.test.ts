import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { DrainProgress } from '../../gateway/admin-api/admin-api-types.ts';
import { whichGateway } from '../admin-access.ts';
import { AdminClient } from '../admin-client.ts';
import { runCli } from '../program.ts';
import { RecordingTerminal } from '../testing/recording-terminal.ts';
import {
  backendStatus,
  drainProgress,
  refusal,
  startScriptedGateway,
  statusOf,
} from '../testing/scripted-gateway.ts';

/** Tells these one after the other, and the last for ever. */
function drainingThrough(...states: (DrainProgress | undefined)[]) {
  const left = [...states];
  return startScriptedGateway(() => {
    const drain = left.length > 1 ? left.shift() : left[0];
    const adminState = drain ? 'drain' : 'ready';
    return [200, { backend: 'app-1', pool: 'shop', adminState, ...(drain && { drain }) }];
  });
}

async function run(gateway: { url: string }, ...args: string[]) {
  const terminal = new RecordingTerminal({ env: { STICKSHIFT_ADMIN_URL: gateway.url } });
  const status = await runCli(args, terminal);
  return { status, stdout: terminal.stdout, stderr: terminal.stderr };
}

describe('stickshift drain', () => {
  test('tells the gateway state, deadline and pool', async () => {
    await using gateway = await drainingThrough(drainProgress({ deadlineAt: Date.now() + 30_000 }));
    const { status, stdout } = await run(gateway, 'drain', 'app-1', '--deadline', '30s', '--pool', 'shop');
    assert.equal(status, 0);
    assert.match(
      stdout,
      /^app-1 gets no new clients; its sessions move within (29|30) s\. .*--wait\. \(gateway at http:\S+\)\n$/,
    );
    const [request] = gateway.requests;
    assert.equal(request?.method, 'POST');
    assert.equal(request?.path, '/v1/backends/app-1/state');
    assert.deepEqual(request?.body, { state: 'drain', deadlineMs: 30_000, pool: 'shop' });
  });

  test('--wait follows it to the end', async () => {
    const complete = drainProgress({
      state: 'complete',
      endedAt: 5_200,
      released: 14,
      remaining: 0,
      inFlight: 0,
    });
    await using gateway = await drainingThrough(drainProgress(), drainProgress(), complete);
    const { status, stdout, stderr } = await run(gateway, 'drain', 'app-1', '--wait');
    assert.equal(status, 0);
    assert.equal(
      stdout,
      `app-1: drained in 4.2 s; 14 sessions saved and released, nothing in flight. It can be stopped. (gateway at ${gateway.url})\n`,
    );
    assert.match(stderr, /^app-1: draining; 10 sessions released, 4 left/);
    assert.equal(gateway.requests.at(-1)?.path, '/v1/backends/app-1/drain?pool=shop');
  });

  test('--wait ends with status 1 when sessions are left', async () => {
    const incomplete = drainProgress({ state: 'incomplete', endedAt: 61_000, unprotected: 4 });
    await using gateway = await drainingThrough(drainProgress(), incomplete);
    const { status, stdout } = await run(gateway, 'drain', 'app-1', '--wait');
    assert.equal(status, 1);
    assert.match(stdout, /^app-1: NOT drained after 1 min; .* 4 left.*4 sessions cannot be saved/);
  });

  test('--wait --json prints the last answer only', async () => {
    const incomplete = drainProgress({ state: 'incomplete', endedAt: 61_000, agentError: 'AGENT_TIMEOUT' });
    await using gateway = await drainingThrough(drainProgress(), incomplete);
    const { status, stdout, stderr } = await run(gateway, 'drain', 'app-1', '--wait', '--json');
    assert.equal(status, 1);
    assert.equal(stderr, '');
    assert.deepEqual(JSON.parse(stdout).drain, incomplete);
  });

  test('--wait ends with status 1 when somebody makes the backend ready again', async () => {
    await using gateway = await drainingThrough(drainProgress(), undefined);
    const { status, stderr } = await run(gateway, 'drain', 'app-1', '--wait');
    assert.equal(status, 1);
    assert.match(stderr, /made app-1 ready in the meantime; it is not drained/);
  });

  test('of a backend that is not there names those that are', async () => {
    await using gateway = await startScriptedGateway(({ method }) =>
      method === 'GET' ? [200, statusOf(backendStatus())] : [404, refusal('NOT_FOUND', 'no such backend')],
    );
    const { status, stderr } = await run(gateway, 'drain', 'app-9');
    assert.equal(status, 1);
    assert.equal(stderr, 'There is no backend "app-9"; there are: app-1 (shop)\n');
  });

  test('takes no deadline without a unit', async () => {
    const { status, stderr } = await run({ url: 'http://127.0.0.1:9' }, 'drain', 'app-1', '--deadline', '30');
    assert.equal(status, 2);
    assert.match(stderr, /Expected a duration with a unit/);
  });
});

describe('stickshift ready and stickshift maintenance', () => {
  test('set the state', async () => {
    await using gateway = await drainingThrough(undefined);
    const { status, stdout } = await run(gateway, 'ready', 'app-1');
    assert.equal(status, 0);
    assert.equal(stdout, `app-1 is ready. (gateway at ${gateway.url})\n`);
    await run(gateway, 'maintenance', 'app-1');
    assert.deepEqual(
      gateway.requests.map(({ body }) => body),
      [{ state: 'ready' }, { state: 'maintenance' }],
    );
  });

  test('say which gateway it was, unless it is the one that everybody expects', () => {
    const of = (url: string) => whichGateway(new AdminClient({ url, token: undefined }));
    assert.equal(of('http://127.0.0.1:8081'), '');
    assert.equal(of('http://127.0.0.1:18081'), ' (gateway at http://127.0.0.1:18081)');
  });
});
