import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runCli } from '../program.ts';
import { RecordingTerminal } from '../testing/recording-terminal.ts';
import {
  backendStatus,
  drainProgress,
  gatewayReport,
  startScriptedGateway,
  statusOf,
} from '../testing/scripted-gateway.ts';
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

POOL  BACKEND  STATE  HEALTH  IN FLIGHT  SESSIONS  NOT SAVED YET  AT RISK  UNPROTECTED  EXPOSURE
shop  app-1    ready  up              2       340              3        0            0    120 ms
shop  app-two  ready  up            112       340              3        0            0    120 ms
`,
    );
  });

  test('says what is down, and that nobody takes new clients', () => {
    const down = { up: false, accepting: false };
    const unreachable = { state: 'unreachable', code: 'AGENT_UNREACHABLE' } as const;
    const text = show(
      backendStatus({ ...down, id: 'a', appUp: false }),
      backendStatus({ ...down, id: 'b', agentUp: false, agent: unreachable }),
      backendStatus({ ...down, id: 'c', appUp: false, agentUp: false, agent: unreachable }),
      backendStatus({ ...down, id: 'd', ejectedUntil: NOW + 3_000 }),
    );
    assert.match(text, /0 of 4 backends up/);
    assert.match(text, /^shop {2}a .* DOWN: app {2,}/m);
    assert.match(text, /^shop {2}b .* DOWN: agent {2,}.*\? +\? +\? +\? +\?$/m);
    assert.match(text, /^shop {2}c .* DOWN: app and agent /m);
    assert.match(text, /^shop {2}d .* EJECTED for 3\.0 s /m);
    assert.match(text, /^b: its agent at http:\/\/agent-1\/ cannot be asked \(AGENT_UNREACHABLE\)$/m);
    assert.match(text, /^shop: NO BACKEND TAKES NEW CLIENTS$/m);
  });

  test('does not call an agent down that answers', () => {
    const down = { up: false, accepting: false, agentUp: false };
    const { agent } = backendStatus();
    assert.ok(agent.state === 'ok');
    const waiting = { ...agent, ready: false, reason: 'waiting for the app' };
    const text = show(
      backendStatus({ ...down, id: 'a', appUp: false, agent: waiting }),
      backendStatus({ ...down, id: 'b', agent: waiting }),
      // It has come back since the gateway's last check.
      backendStatus({ ...down, id: 'c' }),
    );
    assert.match(text, /^shop {2}a .* DOWN: app {2,}/m);
    assert.match(text, /^a: its agent is not ready: waiting for the app$/m);
    assert.match(text, /^shop {2}b .* DOWN: agent not ready {2,}/m);
    assert.match(text, /^shop {2}c .* DOWN: agent {2,}/m);
  });

  test('says how many workers serve clients, where there are several', () => {
    const status = statusOf(backendStatus());
    const withWorkers = (running: number, lost: number) => {
      const gateway = { ...status.gateway, workers: { configured: 2, running, lost } };
      return formatStatus({ ...status, gateway }, 'http://gw', NOW);
    };
    assert.match(withWorkers(2, 0), /^Workers: 2 of 2 serve clients$/m);
    assert.match(withWorkers(1, 3), /^Workers: 1 of 2 serve clients; 3 DIED since the start$/m);
    assert.doesNotMatch(show(backendStatus()), /Workers/);
  });

  test('warns of what a crash would lose', () => {
    const agent = backendStatus().agent;
    assert.ok(agent.state === 'ok');
    const text = show(backendStatus({ agent: { ...agent, store: 'unreachable', unprotected: 2 } }));
    assert.match(text, /^app-1: its agent cannot reach the store; a crash now loses/m);
    assert.match(text, /^app-1: 2 sessions too large or not readable; lost when this server stops$/m);
  });

  test('tells what an agent’s journal keeps, refused and came too late with', () => {
    const agent = backendStatus().agent;
    assert.ok(agent.state === 'ok');
    const journal = { bytes: 3_300, entries: 12, failures: 1, replayed: 0, lostAtTakeover: 2 };
    const text = show(backendStatus({ agent: { ...agent, atRisk: 12, journal } }));
    assert.match(text, /^shop {2}app-1 .* 340 +3 +12 +0 +120 ms$/m);
    assert.match(text, /^app-1: 12 sessions saved in its journal only \(3\.2 KiB\); lost if its disk is$/m);
    assert.match(text, /^app-1: its journal failed or was full 1 time; those writes were refused$/m);
    assert.match(text, /^app-1: 2 sessions had been taken over before .* last changes ARE LOST$/m);
  });

  test('counts commits that were refused, and records that a store was given again', () => {
    const agent = backendStatus().agent;
    assert.ok(agent.state === 'ok');
    const commits = { committed: 812, fenced: 3, stale: 1, ended: 0, failed: 2 };
    const text = show(backendStatus({ agent: { ...agent, commits, reseeded: 340 } }));
    assert.match(text, /^app-1: 812 commits since its agent started; 3 fenced, 1 stale, 2 failed$/m);
    assert.match(text, /^app-1: 340 records written again into a store that had lost data$/m);
  });

  test('says why an agent is not ready, as when another one claims its backend', () => {
    const agent = backendStatus().agent;
    assert.ok(agent.state === 'ok');
    const reason = 'the agent at http://other:9090 announces itself as app-1, too';
    const text = show(backendStatus({ agentUp: false, agent: { ...agent, ready: false, reason } }));
    assert.match(text, /^app-1: its agent is not ready: the agent at http:\/\/other:9090 announces/m);
  });

  test('sums up what the gateway held, withheld and took over', () => {
    const status = {
      ...statusOf(backendStatus()),
      gateway: gatewayReport({
        held: { released: 1_200, accepted: 0, atRisk: 3, withheld: 5, overflowed: 1 },
        holdTimeMs: 2_416,
        takeovers: { clean: 5, possiblyLost: 1, tooOld: 0 },
        errors: { COMMIT_FENCED: 4, COMMIT_UNKNOWN: 1, NO_BACKEND: 7 },
        storeSettlingMs: 3_100,
      }),
    };
    const text = formatStatus(status, 'http://gw', NOW);
    assert.match(
      text,
      /^Held answers: 1200 sent after their commit, 3 from the journal while the store was away, 1 too large to hold, 5 withheld \(4 fenced, 1 unknown\); held for 2 ms on average$/m,
    );
    assert.match(text, /^Takeovers: 5 clean, 1 POSSIBLY LOST A CHANGE, 0 refused as too old$/m);
    assert.match(text, /^The store has been restarted .* for 3\.1 s more, no session is taken over$/m);
  });

  test('is as plain about takeovers that lost nothing', () => {
    const gateway = gatewayReport({ takeovers: { clean: 1, possiblyLost: 0, tooOld: 0 } });
    assert.match(
      formatStatus({ ...statusOf(backendStatus()), gateway }, 'http://gw', NOW),
      /^Takeovers: 1 clean, 0 possibly lost a change, 0 refused as too old$/m,
    );
  });

  test('tells how far a drain is', () => {
    const text = show(backendStatus({ adminState: 'drain', drain: drainProgress() }));
    assert.match(
      text,
      /^app-1: draining; 10 sessions released, 4 left, 1 request in flight; 51 s until the deadline$/m,
    );
  });

  test('says of a drained server that nobody else takes its clients, and never that it can be stopped', () => {
    const drain = drainProgress({ state: 'incomplete', isLast: true });
    const text = show(backendStatus({ adminState: 'drain', drain }));
    assert.match(
      text,
      /^app-1: NOT drained .*; NO OTHER BACKEND TAKES CLIENTS, so it goes on serving its own\. Make/m,
    );
    const late = show(backendStatus({ adminState: 'drain', drain: { ...drain, state: 'complete' } }));
    assert.match(
      late,
      /^app-1: drained .*; NO OTHER BACKEND TAKES CLIENTS, so it goes on serving its own\.$/m,
    );
  });

  test('says that the gateway cannot reach the store, since when, and what that means', () => {
    const gateway = gatewayReport({ storeFailure: { code: 'STORE_TIMEOUT', since: NOW - 12_000 } });
    assert.match(
      formatStatus({ ...statusOf(backendStatus()), gateway }, 'http://gw', NOW),
      /^This gateway has not reached the store for 12 s \(STORE_TIMEOUT\): sessions to be looked up or moved get 503/m,
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
