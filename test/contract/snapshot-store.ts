import { after, before, describe } from 'node:test';
import type { SnapshotStore } from '../../store/snapshot-store.ts';
import { announcements } from './snapshot-store/announcements.ts';
import { backendStates } from './snapshot-store/backend-states.ts';
import { commits } from './snapshot-store/commits.ts';
import { concurrency } from './snapshot-store/concurrency.ts';
import { ends } from './snapshot-store/ends.ts';
import { expiry } from './snapshot-store/expiry.ts';
import { handOffs } from './snapshot-store/hand-offs.ts';
import { model } from './snapshot-store/model.ts';
import { replaces } from './snapshot-store/replaces.ts';
import { settling } from './snapshot-store/settling.ts';
import { snapshots } from './snapshot-store/snapshots.ts';
import { taken } from './snapshot-store/taken.ts';

export interface OpenedStore {
  readonly store: SnapshotStore;
  close(): Promise<void>;
}

/**
 * What every `SnapshotStore` has to do. `open` is called twice: both stores work on the same records, as two processes
 * do. Session keys are random, so the storage may hold anything else.
 */
export function snapshotStoreContract(
  name: string,
  options: { readonly skip: string | false },
  open: () => Promise<OpenedStore>,
): void {
  describe(`snapshot store contract: ${name}`, options, () => {
    const opened: OpenedStore[] = [];
    before(async () => {
      opened.push(await open(), await open());
    });
    after(() => Promise.all(opened.map((each) => each.close())));

    const store = (index: number) => () => {
      const found = opened[index];
      if (found === undefined) throw new Error('used before it was opened');
      return found.store;
    };
    const [first, second] = [store(0), store(1)];
    commits(first);
    handOffs(first);
    ends(first);
    replaces(first);
    expiry(first);
    snapshots(first);
    concurrency(first, second);
    announcements(first, second);
    backendStates(first, second);
    settling(first, second);
    taken(first, second);
    model(first);
  });
}
