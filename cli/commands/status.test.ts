import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runCli } from '../program.ts';
import { RecordingTerminal } from '../testing/recording-terminal.ts';
import { backendStatus, drainProgress, startScriptedGateway, statusOf } from '../testing/scripted-gateway.ts';
import { formatStatus } from './status.ts';

const NOW = 10_000;
const show = (...backends: Parameters<typeof statusOf>) =>
  formatStatus(statusOf(...backends), 'http://gw', NOW);

describe('the status of a gateway', () => {
  test('is a table that lines up', () => {
    const other = backendStatus({ id: 'app-two', inFlight: 112 });
    assert.equal(
      show(backendStatus(), other),
      `Gateway at http://gw: ready, running for 10 s; 2 of 2 backends up

POOL  BACKEND  STATE  HEALTH  IN FLIGHT  SESSIONS  NOT SAVED YET  UNPROTECTED  EXPOSURE
shop  app-1    ready  up              2       340              3            0    120 ms
shop  app-two  ready  up            112       340              3            0    120 ms
`,
    );
  });

  test('says what is down, and that nobody takes new clients', () => {
    const down = { up: false, accepting: false };
    const text = show(
      backendStatus({ ...down, id: 'a', appUp: false }),
      backendStatus({
        ...down,
        id: 'b',
        agentUp: false,
        agent: { state: 'unreachable', code: 'AGENT_UNREACHABLE' },
      }),
      backendStatus({ ...down, id: 'c', appUp: false, agentUp: false }),
      backendStatus({ ...down, id: 'd', ejectedUntil: NOW + 3_000 }),
    );
    assert.match(text, /0 of 4 backends up/);
    assert.match(text, /^shop {2}a .* DOWN: app {2,}/m);
    assert.match(text, /^shop {2}b .* DOWN: agent {2,}.*\? +\? +\? +\?$/m);
    assert.match(text, /^shop {2}c .* DOWN: app and agent /m);
    assert.match(text, /^shop {2}d .* EJECTED for 3\.0 s /m);
    assert.match(text, /^b: its agent at http:\/\/agent-1\/ cannot be asked \(AGENT_UNREACHABLE\)$/m);
    assert.match(text, /^shop: NO BACKEND TAKES NEW CLIENTS$/m);
  });

  test('warns of what a crash would lose', () => {
    const agent = backendStatus().agent;
    assert.ok(agent.state === 'ok');
    const text = show(backendStatus({ agent: { ...agent, store: 'unreachable', unprotected: 2 } }));
    assert.match(text, /^app-1: its agent cannot reach the store; a crash now loses/m);
    assert.match(text, /^app-1: 2 sessions too large or not readable; lost when this server stops$/m);
  });

  test('tells how far a drain is', () => {
    const text = show(backendStatus({ adminState: 'drain', drain: drainProgress() }));
    assert.match(
      text,
      /^app-1: draining; 10 sessions released, 4 left, 1 request in flight; 51 s until the deadline$/m,
    );
  });
});

test('--json prints the gateway’s answer as it is', async () => {
  const status = statusOf(backendStatus());
  await using gateway = await startScriptedGateway(() => [200, status]);
  const terminal = new RecordingTerminal();
  assert.equal(await runCli(['status', '--json', '--admin', gateway.url], terminal), 0);
  assert.deepEqual(JSON.parse(terminal.stdout), status);
});
