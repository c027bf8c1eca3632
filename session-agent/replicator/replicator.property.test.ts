import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { CommitDurability } from '../../protocol/agent-api.ts';
import type { Journal } from '../journal/journal.ts';
import {
  type AgentUnderTest,
  keyOf,
  PATIENCE_MS,
  seal,
  startTestAgent,
  until,
} from '../testing/agent-under-test.ts';
import { closeJournal, journalDirectory, openJournal } from '../testing/journal-under-test.ts';
import type { Fault } from '../testing/memory-store.ts';

const IDS = ['alice', 'bob', 'carol'] as const;

/** What happens, in an order that fast-check picks, while every store call may fail in any way. */
type Step =
  | { readonly do: 'write' | 'take over' | 'log out'; readonly id: string }
  | {
      readonly do: 'commit';
      readonly id: string;
      readonly timeoutMs: number;
      readonly durability: CommitDurability;
    }
  | { readonly do: 'deliver late' | 'pause' };

const id = fc.constantFrom(...IDS);
const durability = fc.constantFrom<CommitDurability>(
  { mode: 'ack', onStoreDown: 'refuse' },
  { mode: 'ack', onStoreDown: 'serve' },
  { mode: 'async', onStoreDown: 'serve' },
  { mode: 'replica', replicas: 1, onStoreDown: 'refuse' },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('write' as const), id }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('commit' as const),
      id,
      timeoutMs: fc.constantFrom(0, 3, PATIENCE_MS),
      durability,
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('deliver late' as const, 'pause' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('take over' as const, 'log out' as const), id }) },
);
const fault = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Fault>('none') },
  {
    weight: 4,
    arbitrary: fc.constantFrom<Fault>('unreachable', 'lost', 'lost-applied', 'lost-late', 'refused'),
  },
);

/** Carries the steps out and checks the promises on the way. Every write has a higher number than all before it. */
class Run {
  readonly #test: AgentUnderTest;
  readonly #journal: Journal;
  readonly #written = new Map<string, number>();
  readonly #stored = new Map<string, number>();
  readonly #takenOver = new Set<string>();
  readonly #loggedOut = new Set<string>();
  readonly #answers: Promise<void>[] = [];
  #writes = 0;

  constructor(test: AgentUnderTest, journal: Journal) {
    this.#test = test;
    this.#journal = journal;
  }

  async take(step: Step): Promise<void> {
    const { source, store } = this.#test;
    switch (step.do) {
      case 'write':
        this.#written.set(step.id, ++this.#writes);
        return source.write(step.id, String(this.#writes));
      case 'commit':
        this.#answers.push(this.#commit(step.id, step.timeoutMs, step.durability));
        return;
      case 'take over': {
        const record = store.records.get(keyOf(step.id));
        if (!record || record.state === 'ended') return;
        record.owner = 'app-2';
        record.epoch++;
        this.#takenOver.add(step.id);
        return;
      }
      case 'log out':
        if (this.#takenOver.has(step.id)) return;
        this.#loggedOut.add(step.id);
        // Rejected while the store is away; the tombstone is what counts, at the end.
        void source.logout(step.id).catch(() => undefined);
        return;
      case 'deliver late':
        return store.deliverLate();
      case 'pause':
        await new Promise(setImmediate);
    }
  }

  async finish(): Promise<void> {
    const { agent, source, store } = this.#test;
    store.fault = () => 'none';
    await Promise.all(this.#answers);
    await until(() => agent.owned.dirty.size === 0);
    store.deliverLate();
    for (const id of IDS) {
      await this.assertNotOlder(id);
      if (this.#loggedOut.has(id) && !this.#takenOver.has(id)) {
        await until(() => store.records.get(keyOf(id))?.state === 'ended');
      }
      if (this.#takenOver.has(id)) assert.equal(store.records.get(keyOf(id))?.owner, 'app-2');
      else if (!this.#loggedOut.has(id) && this.#written.has(id)) {
        assert.equal(await this.#storedNumber(id), this.#written.get(id), 'the last write is in the store');
        assert.ok(source.sessions.has(id), 'nothing that is ours was forgotten');
      }
    }
    this.#assertSeqsUnique();
    // Nothing is left to do with the journal.
    await until(() => this.#journal.outstanding().length === 0);
  }

  async #commit(id: string, timeoutMs: number, durability: CommitDurability): Promise<void> {
    const { agent, source } = this.#test;
    const asked = this.#written.get(id) ?? 0;
    const forgotten = source.forgotten.length;
    const lost = this.#takenOver.has(id) || this.#loggedOut.has(id);
    const [commit] = await agent.commit([id], timeoutMs, { durability });
    switch (commit?.outcome) {
      case 'accepted':
        assert.equal(durability.mode, 'async');
        return;
      case 'journaled': {
        assert.deepEqual(durability, { mode: 'ack', onStoreDown: 'serve' });
        const kept = (await this.#journaledNumber(id)) ?? (await this.#storedNumber(id));
        // Of a session that is somebody else's by now, nothing is kept any more.
        if (kept !== undefined && !this.#takenOver.has(id))
          assert.ok(kept >= asked, `told of ${asked}, the journal has ${kept}`);
        else assert.ok(this.#loggedOut.has(id) || this.#takenOver.has(id));
        return;
      }
      case 'committed': {
        const stored = await this.#storedNumber(id);
        // A session that was logged out while we waited is ended, which is later than anything.
        if (stored !== undefined) assert.ok(stored >= asked, `told of ${asked}, the store has ${stored}`);
        else assert.ok(this.#loggedOut.has(id));
        return;
      }
      case 'fenced':
      case 'ended':
      case 'late':
        assert.ok(
          lost || this.#takenOver.has(id) || this.#loggedOut.has(id),
          `${commit.outcome} for no reason`,
        );
        await until(() => source.forgotten.slice(lost ? 0 : forgotten).includes(id));
        return;
      case 'not-held':
        assert.ok(asked === 0 || this.#loggedOut.has(id), 'it was written, so something is held');
        return;
      case 'unknown':
        return;
      default:
        assert.fail(`unexpected answer ${commit?.outcome}`);
    }
  }

  async #storedNumber(id: string): Promise<number | undefined> {
    const text = await this.#test.stored(id);
    return text === undefined ? undefined : Number(text);
  }

  async #journaledNumber(id: string): Promise<number | undefined> {
    const entry = await this.#journal.read(keyOf(id));
    if (entry?.kind !== 'snapshot') return undefined;
    return Number(Buffer.from((await seal.open(keyOf(id), entry)).data).toString());
  }

  async assertNotOlder(id: string): Promise<void> {
    const stored = await this.#storedNumber(id);
    if (stored === undefined) return;
    assert.ok(stored >= (this.#stored.get(id) ?? 0), 'the store went back to older bytes');
    this.#stored.set(id, stored);
  }

  /** No number is ever used for two different snapshots that may both have reached the store. */
  #assertSeqsUnique(): void {
    const seen = new Map<string, Uint8Array>();
    // A session that the app makes again after we lost it starts over; the record refuses it, whatever its number.
    const startedOver = new Set([...this.#takenOver, ...this.#loggedOut].map(keyOf));
    for (const { key, epoch, seq, snapshot } of this.#test.store.sent) {
      if (startedOver.has(key)) continue;
      const number = `${key} ${epoch} ${seq}`;
      const before = seen.get(number);
      assert.ok(
        !before || Buffer.from(before).equals(snapshot),
        `commit ${number} was sent with different bytes`,
      );
      seen.set(number, snapshot);
    }
  }
}

// Each run waits for the disk, time and again.
test('whatever the store does, no answer is a lie, no seq is used twice and nothing is lost', {
  timeout: 240_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 5, maxLength: 40 }),
      fc.array(fault, { minLength: 1, maxLength: 30 }),
      async (steps, faults) => {
        const { journal } = await openJournal(journalDirectory());
        const test = await startTestAgent({ journal, times: { base: 1, cap: 2, hurried: 1 } });
        let calls = 0;
        test.store.fault = () => faults[calls++] ?? 'none';
        const run = new Run(test, journal);
        for (const step of steps) {
          await run.take(step);
          for (const id of IDS) await run.assertNotOlder(id);
        }
        await run.finish();
        await test.agent.stop(0);
        await closeJournal(journal);
      },
    ),
    // A run that hangs fails with its example, which the timeout of the whole test would not show.
    { numRuns: 150, timeout: 15_000 },
  );
});
