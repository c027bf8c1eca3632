import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { type AdoptRequest, AGENT_API, type AgentReadiness } from '../../protocol/agent-api.ts';
import { eventually } from '../services/eventually.ts';
import type { AgentAnswer } from '../services/fake-agent.ts';
import { statusOf } from '../services/gateway-status.ts';
import { recordOf, SmallSite } from '../services/small-site.ts';

const silence = () => new Promise<never>(() => undefined);
const found = (epoch: number) => ({ outcome: 'found', epoch, seq: 1, ageMs: 5, size: 10 });

const PATIENT = { agent: '2s', hold: '2s', move: '10s' } as const;
/** Where the test waits for what does not come. */
const IMPATIENT = { agent: '200ms', hold: '200ms', move: '2s' } as const;

async function startSite(
  t: TestContext,
  timeouts: typeof PATIENT | typeof IMPATIENT = PATIENT,
): Promise<SmallSite> {
  const site = await SmallSite.start({
    gateway: { timeouts },
    // More than one late answer, so that a busy machine does not take the honest backend out as well.
    pool: { health: { interval: '50ms', timeout: '400ms', rise: 1, fall: 3 } },
  });
  t.after(() => site.stop());
  site.serve((app) => (_request, response) => response.end(app.id));
  return site;
}

async function isUp(site: SmallSite, id: string): Promise<boolean | undefined> {
  const status = await statusOf(site.gateway);
  return status.pools[0]?.backends.find((backend) => backend.id === id)?.up;
}

const visit = (site: SmallSite, sid: string, method = 'GET') =>
  fetch(site.url, { method, headers: { cookie: `sid=${sid}` } });

const READINESS_LIES: readonly (readonly [
  what: string,
  code: string,
  lie: (truth: AgentReadiness) => AgentAnswer | Promise<AgentAnswer>,
])[] = [
  ['for another backend', 'AGENT_MISMATCH', (truth) => ({ body: { ...truth, backend: 'app-1' } })],
  ['for another application', 'AGENT_MISMATCH', (truth) => ({ body: { ...truth, application: 'bank' } })],
  ['of another shape', 'AGENT_INVALID', () => ({ body: { ready: 'yes' } })],
  ['that is no JSON', 'AGENT_INVALID', () => ({ body: Buffer.from('<html>It works!</html>') })],
  ['without end', 'AGENT_INVALID', () => ({ body: Buffer.alloc(1024 * 1024, ' ') })],
  ['that never comes', 'AGENT_NO_ANSWER', silence],
];

describe('an agent that gives a readiness', () => {
  for (const [what, code, lie] of READINESS_LIES) {
    test(`${what} takes its backend out, says so in the log, and brings it back when it mends its ways`, async (t) => {
      const site = await startSite(t);
      const liar = site.app('app-2').agent;
      liar.readyReply = () => lie(liar.readiness);
      await eventually('the gateway no longer trusts it', async () => !(await isUp(site, 'app-2')));
      for (let i = 0; i < 6; i++) assert.equal(await (await fetch(site.url)).text(), 'app-1');
      const lines = site.log.lines.filter((line) => line.backend === 'app-2' && Number(line.level) >= 40);
      assert.deepEqual([...new Set(lines.map((line) => line.code))], [code]);
      liar.readyReply = undefined;
      await eventually('it is trusted again', () => isUp(site, 'app-2'));
    });
  }
});

const ADOPT_LIES: readonly (readonly [
  what: string,
  lie: (request: AdoptRequest) => AgentAnswer | Promise<AgentAnswer>,
])[] = [
  ['that it has it already, at the old epoch', ({ ifEpoch }) => ({ body: found(ifEpoch) })],
  ['that it has it, at an epoch from long ago', () => ({ body: found(0) })],
  ['an epoch that is no number', () => ({ body: { ...found(8), epoch: 'eight' } })],
  ['an outcome that nobody knows', () => ({ body: { outcome: 'maybe' } })],
  ['a list', () => ({ body: [] })],
  ['no JSON', () => ({ body: Buffer.from('adopted!') })],
  ['a megabyte', () => ({ body: Buffer.alloc(1024 * 1024, 'x') })],
  ['that it serves another backend', () => apiError(409, 'AGENT_MISMATCH')],
  ['that the token is wrong', () => apiError(401, 'UNAUTHORIZED')],
  ['an error that nobody knows', () => apiError(500, 'ON_FIRE')],
  ['an error without a body', () => ({ status: 500, body: Buffer.alloc(0) })],
];

function apiError(status: number, code: string): AgentAnswer {
  return { status, body: { error: { code, message: 'as the agent says', retrySafe: true } } };
}

describe('an agent that is asked to adopt a session and answers', () => {
  for (const [what, lie] of ADOPT_LIES) {
    test(`${what} gets no request of it; another one does`, async (t) => {
      const site = await startSite(t);
      site.lookup = () => recordOf('app-that-was-removed', 7);
      const asked: string[] = [];
      for (const { id, agent } of site.apps) {
        agent.replies[AGENT_API.adopt] = ({ body }) => {
          asked.push(id);
          // Whoever is asked first lies.
          return asked.length === 1 ? lie(body as AdoptRequest) : { body: found(8) };
        };
      }
      const answer = await visit(site, 'abc');
      assert.equal(answer.status, 200);
      const [liar, other] = asked;
      assert.equal(await answer.text(), other);
      assert.notEqual(liar, other);
      assert.equal(site.app(liar ?? '').requests, 0);
      assert.equal(site.log.matching(/target gave no good answer/).length, 1);
    });
  }

  test('nothing, once and again, gets no request of it; another one does', async (t) => {
    const site = await startSite(t, IMPATIENT);
    site.lookup = () => recordOf('app-that-was-removed', 7);
    site.app('app-1').agent.replies[AGENT_API.adopt] = silence;
    site.app('app-2').agent.replies[AGENT_API.adopt] = () => ({ body: found(8) });
    for (const sid of ['one', 'two', 'three']) {
      assert.equal(await (await visit(site, sid)).text(), 'app-2');
    }
    assert.equal(site.app('app-1').requests, 0);
  });

  test('nonsense, when every agent does, is 503, and the client may come back', async (t) => {
    const site = await startSite(t);
    site.lookup = () => recordOf('app-that-was-removed', 7);
    for (const { agent } of site.apps) agent.replies[AGENT_API.adopt] = () => ({ body: found(7) });
    const answer = await visit(site, 'abc');
    assert.equal(answer.status, 503);
    assert.equal(answer.headers.get('retry-after'), '1');
    assert.equal(site.app('app-1').requests + site.app('app-2').requests, 0);

    for (const { agent } of site.apps) agent.replies[AGENT_API.adopt] = () => ({ body: found(8) });
    assert.equal((await visit(site, 'abc')).status, 200);
  });
});

const COMMIT_LIES: readonly (readonly [what: string, lie: () => AgentAnswer | Promise<AgentAnswer>])[] = [
  [
    'for more sessions than it was asked',
    () => ({ body: { sessions: [{ outcome: 'not-held' }, { outcome: 'not-held' }] } }),
  ],
  ['without an epoch', () => ({ body: { sessions: [{ outcome: 'committed' }] } })],
  ['with an outcome that nobody knows', () => ({ body: { sessions: [{ outcome: 'sure' }] } })],
  ['that is no JSON', () => ({ body: Buffer.from('OK') })],
  ['of a megabyte', () => ({ body: Buffer.alloc(1024 * 1024, 'x') })],
  ['that another backend should give', () => apiError(409, 'AGENT_MISMATCH')],
  ['that never comes', silence],
];

describe('an agent that is asked for a commit and gives an answer', () => {
  for (const [what, lie] of COMMIT_LIES) {
    test(`${what} has the answer withheld: nothing is acknowledged that may not be saved`, async (t) => {
      const site = await startSite(t, lie === silence ? IMPATIENT : PATIENT);
      for (const { agent } of site.apps) agent.replies[AGENT_API.commit] = lie;
      const answer = await visit(site, 'abc', 'POST');
      assert.equal(answer.status, 503);
      assert.equal(((await answer.json()) as { code: string }).code, 'COMMIT_UNKNOWN');
      assert.equal(answer.headers.get('retry-after'), null, 'it may have been carried out');
      const [line] = site.log.matching(/request failed/);
      assert.equal(line?.code, 'COMMIT_UNKNOWN');
      assert.equal((await visit(site, 'abc')).status, 200, 'reads go on');
    });
  }
});

describe('an old owner that is asked to release a session and', () => {
  for (const [what, lie] of [
    ['answers nonsense', () => ({ body: { outcome: 'released' } })],
    ['says nothing', silence],
  ] as const) {
    test(`${what} is fenced by a takeover`, async (t) => {
      const site = await startSite(t, lie === silence ? IMPATIENT : PATIENT);
      site.lookup = () => recordOf('app-1', 7);
      assert.equal(await (await visit(site, 'abc')).text(), 'app-1');
      site.app('app-1').agent.replies[AGENT_API.release] = lie;
      site.app('app-1').agent.replies[AGENT_API.releaseIdle] = lie;
      site.app('app-2').agent.replies[AGENT_API.adopt] = () => ({ body: found(8) });
      const state = await fetch(`${site.gateway.adminUrl}/v1/backends/app-1/state`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ state: 'drain' }),
      });
      assert.equal(state.status, 202);
      assert.equal(await (await visit(site, 'abc')).text(), 'app-2');
      assert.equal(site.log.matching(/old owner does not answer/).length, 1);
      assert.ok(site.log.matching(/the agent does not release sessions/).length > 0);
    });
  }
});
