import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { json } from '../testing/fake-server.ts';
import type { StatusAnswer } from './admin-api-types.ts';
import { AGENT_STATUS, adminApiScene, GATEWAY_REPORT, up } from './testing/admin-api-scene.ts';

describe('GET /v1/status', () => {
  test('shows the gateway, its pools and their backends, with what the agents say', async (t) => {
    const { ask, backend } = await adminApiScene(t);
    up(backend);
    const answer = await ask('/v1/status');
    assert.equal(answer.status, 200);
    const status = answer.json as StatusAnswer;
    assert.deepEqual(status.gateway, GATEWAY_REPORT);
    assert.equal(status.ready, true);
    const [pool] = status.pools;
    assert.deepEqual([pool?.name, pool?.application, pool?.accepting], ['shop', 'shop', 1]);
    const [first] = pool?.backends ?? [];
    assert.equal(first?.up, true);
    const { backend: _id, application: _application, ...said } = AGENT_STATUS;
    assert.deepEqual(first?.agent, { state: 'ok', ...said });
  });

  test('says which agents do not answer, and how', async (t) => {
    const { ask, agent } = await adminApiScene(t);
    agent.answer = (_, response) => json(response, 200, { ...AGENT_STATUS, backend: 'app-7' });
    const { pools } = (await ask('/v1/status')).json as StatusAnswer;
    assert.deepEqual(
      pools[0]?.backends.map((backend) => backend.agent),
      [
        { state: 'unreachable', code: 'AGENT_MISMATCH' },
        { state: 'unreachable', code: 'AGENT_UNREACHABLE' },
      ],
    );
  });

  test('does not wait long for an agent that says nothing', async (t) => {
    const { ask, agent } = await adminApiScene(t);
    agent.answer = () => undefined;
    const { pools } = (await ask('/v1/status')).json as StatusAnswer;
    assert.deepEqual(pools[0]?.backends[0]?.agent, { state: 'unreachable', code: 'AGENT_NO_ANSWER' });
  });
});
