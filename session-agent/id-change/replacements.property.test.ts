import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { keyOf, PATIENCE_MS, startTestAgent, until } from '../testing/agent-under-test.ts';
import type { Fault } from '../testing/memory-store.ts';

const FAULTS: readonly Fault[] = ['none', 'unreachable', 'lost-applied', 'lost-late', 'lost', 'refused'];
const NEVER = 600_000;

/** What happens on the way of one login. */
const login = fc.record({
  /** What each call of the store meets, until there are no more. */
  faults: fc.array(fc.constantFrom(...FAULTS), { maxLength: 8 }),
  /** IDs that the session gets one after the other; whether something is written under each. */
  changes: fc.array(fc.boolean(), { minLength: 1, maxLength: 3 }),
  killed: fc.constantFrom('never', 'before the answer', 'after the answer'),
  /** A request beside it writes under the first ID. */
  beside: fc.boolean(),
  late: fc.boolean(),
});

test('whatever fails during a login, a session is left, and only one', async () => {
  await fc.assert(
    fc.asyncProperty(login, async ({ faults, changes, killed, beside, late }) => {
      const idChangeTimes = { replacementTimes: { written: NEVER, named: 0, silence: NEVER } };
      const { agent, source, store, stored } = await startTestAgent({ idChangeTimes });
      source.write('id-0', 'cart');
      assert.equal((await agent.commit(['id-0'], PATIENCE_MS))[0]?.outcome, 'committed');
      const ahead = [...faults];
      store.fault = () => ahead.shift() ?? 'none';

      for (const [index, isWritten] of changes.entries()) {
        source.replace(`id-${index}`, `id-${index + 1}`).catch(() => undefined);
        if (isWritten) source.write(`id-${index + 1}`, `cart ${index + 1}`);
        if (beside && index === 0) source.write('id-0', 'late');
      }
      const last = `id-${changes.length}`;
      const isKept = changes.at(-1) === true;
      const kill = () => {
        source.sessions.clear();
        source.listener.detached('killed');
        source.listener.attached();
      };
      if (killed === 'before the answer') kill();
      const [old, now] = await agent.commit(['id-0', last], PATIENCE_MS);
      if (late) store.deliverLate();
      if (killed === 'after the answer') kill();
      store.fault = () => 'none';
      store.deliverLate();
      await until(() => agent.notReady === undefined && agent.owned.dirty.size === 0);

      const standing = [...store.records.values()].filter(({ state }) => state !== 'ended');
      if (killed === 'before the answer') {
        assert.equal(await stored('id-0'), 'cart');
        assert.notEqual(now?.outcome, 'committed');
      } else if (isKept) {
        assert.deepEqual([old?.outcome, now?.outcome], ['ended', 'committed']);
        assert.equal(await stored(last), `cart ${changes.length}`);
      } else {
        assert.equal(old?.outcome, 'ended');
        assert.equal(standing.length, 0);
        return;
      }
      const survivor = killed === 'before the answer' ? 'id-0' : last;
      assert.deepEqual(standing, [store.records.get(keyOf(survivor))]);
    }),
    { numRuns: 150 },
  );
});
