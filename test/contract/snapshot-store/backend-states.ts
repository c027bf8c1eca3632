import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { eventually } from '../../services/eventually.ts';
import type { StoreUnderTest } from './sample-records.ts';

const MINUTE = 60_000;

export function backendStates(first: StoreUnderTest, second: StoreUnderTest): void {
  describe('backend states', () => {
    const anApplication = () => `shop-${randomUUID()}`;

    test('are unknown until an operator sets one', async () => {
      assert.deepEqual(await first().backendStates(anApplication()), []);
    });

    test('are seen by others, with what is left of the patience', async () => {
      const application = anApplication();
      const change = { application, backend: 'app-1', state: 'drain', deadlineMs: MINUTE } as const;
      const set = await first().setBackendState(change);
      const { remainingMs, ...rest } = set;
      assert.deepEqual(rest, { application, backend: 'app-1', state: 'drain', revision: 1 });
      assert.ok(remainingMs > 0 && remainingMs <= MINUTE);
      const [seen, ...others] = await second().backendStates(application);
      assert.deepEqual({ ...seen, remainingMs }, set);
      assert.ok(seen && seen.remainingMs > 0 && seen.remainingMs <= MINUTE);
      assert.deepEqual(others, []);
    });

    test('count their changes, each backend for itself', async () => {
      const application = anApplication();
      const set = (backend: string, state: 'ready' | 'drain' | 'maintenance') =>
        first().setBackendState({ application, backend, state, deadlineMs: MINUTE });
      await set('app-1', 'drain');
      await set('app-2', 'maintenance');
      assert.equal((await set('app-1', 'maintenance')).revision, 2);
      // Asked for once more, it is a change as well: its patience begins again.
      assert.equal((await set('app-1', 'maintenance')).revision, 3);
      const ready = await set('app-1', 'ready');
      assert.deepEqual([ready.revision, ready.remainingMs], [4, 0]);
      const states = (await second().backendStates(application)).toSorted((a, b) =>
        a.backend < b.backend ? -1 : 1,
      );
      assert.deepEqual(
        states.map(({ backend, state, revision }) => [backend, state, revision]),
        [
          ['app-1', 'ready', 4],
          ['app-2', 'maintenance', 1],
        ],
      );
    });

    test('of another application are its own', async () => {
      const [mine, other] = [anApplication(), anApplication()];
      await first().setBackendState({
        application: mine,
        backend: 'app-1',
        state: 'drain',
        deadlineMs: MINUTE,
      });
      assert.deepEqual(await first().backendStates(other), []);
    });

    test('keep to their end when the patience is over', async () => {
      const application = anApplication();
      await first().setBackendState({ application, backend: 'app-1', state: 'drain', deadlineMs: 1 });
      await eventually('the patience is over', async () => {
        const [state] = await first().backendStates(application);
        return state?.state === 'drain' && state.remainingMs === 0;
      });
    });

    test('set at the same time are all counted', async () => {
      const application = anApplication();
      const change = { application, backend: 'app-1', state: 'drain', deadlineMs: MINUTE } as const;
      const set = await Promise.all(
        Array.from({ length: 12 }, (_, index) => (index % 2 ? first() : second()).setBackendState(change)),
      );
      assert.equal(new Set(set.map(({ revision }) => revision)).size, 12);
    });
  });
}
