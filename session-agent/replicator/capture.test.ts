import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commitAll, PATIENCE_MS, startTestAgent, until } from '../testing/agent-under-test.ts';
import { LeaseHolder } from '../testing/lease-holder.ts';

test('a session that its app has lost over a change is recalled, and comes back as it was committed last', async () => {
  const { agent, source, warnings } = await startTestAgent();
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  await using gateway = await LeaseHolder.start('one', (request) => agent.leases.call(request));

  source.sessions.delete('alice');
  source.listener.changed('alice');
  const [commit] = await agent.commit(['alice'], PATIENCE_MS);
  assert.deepEqual(commit, { outcome: 'unknown', code: 'SOURCE_FAILED' });
  assert.match(warnings.at(-1)?.msg ?? '', /lost with the app/);
  await until(() => gateway.recalled.length > 0);
  assert.deepEqual(gateway.recalled, ['alice'], 'or the next request would begin an empty session');

  assert.equal((await agent.adopt('alice', 1)).outcome, 'found');
  assert.equal(source.text('alice'), 'one pear');
});
