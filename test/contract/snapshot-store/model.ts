import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { SessionKey } from '../../../protocol/session-key.ts';
import type { RecordState, SnapshotStore } from '../../../store/snapshot-store.ts';
import { bytes, inHours, newKey, type StoreUnderTest } from './sample-records.ts';

const RUNS = 60;

/** Epoch and seq are relative to the record's, so that most steps come close to having an effect. */
interface Step {
  readonly kind: 'commit' | 'touch' | 'release' | 'final' | 'adopt' | 'end';
  readonly owner: string;
  readonly epoch: number;
  readonly seq: number;
  readonly hours: number;
  readonly absolute: boolean;
  /** For `end`: the caller never committed the session. */
  readonly newcomer: boolean;
  /** For `end`: the tombstone stood before. */
  readonly stood: boolean;
}

const aStep: fc.Arbitrary<Step> = fc.record({
  // Tombstones end the story; they come seldom.
  kind: fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom('commit', 'touch', 'release', 'final', 'adopt') },
    { weight: 1, arbitrary: fc.constant('end' as const) },
  ),
  owner: fc.constantFrom('app-1', 'app-2', 'app-3'),
  epoch: fc.oneof(
    { weight: 4, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: -1, max: 1 }) },
  ),
  seq: fc.integer({ min: -1, max: 2 }),
  hours: fc.integer({ min: 1, max: 1_000 }),
  absolute: fc.boolean(),
  newcomer: fc.boolean(),
  stood: fc.boolean(),
});

/** The contract said once more, as simply as possible. */
class Model {
  state: RecordState | 'absent' = 'absent';
  owner = '';
  epoch = 0;
  seq = 0;
  snapshot = '';
  idleAt = 0;
  absoluteAt: number | undefined;

  apply(step: ReturnType<typeof concrete>): object {
    const { kind, owner, epoch, seq } = step;
    const mine = this.owner === owner && this.epoch === epoch;
    const fenced = { outcome: 'fenced', owner: this.owner, epoch: this.epoch };
    const is = (...states: Model['state'][]) => states.includes(this.state);
    const older = !is('absent') && this.epoch < epoch;

    if (kind === 'end') {
      const allowed =
        is('absent', 'ended') || mine || older || step.stood || (epoch === 0 && this.owner === owner);
      if (!allowed) return fenced;
      if (is('absent')) this.set('ended', { ...step, seq: 0 });
      if (!is('ended')) [this.owner, this.epoch] = [owner, Math.max(this.epoch, epoch)];
      this.idleAt = is('ended') ? Math.max(this.idleAt, step.idleAt) : step.idleAt;
      this.state = 'ended';
      this.absoluteAt = undefined;
      this.snapshot = '';
      return { outcome: 'ended' };
    }
    if (is('ended')) return { outcome: 'ended' };
    if (is('absent')) {
      if (kind === 'commit') return this.set('active', step, { outcome: 'committed' });
      if (kind === 'final') return this.set('released', step, { outcome: 'released' });
      return { outcome: 'absent' };
    }
    if (kind === 'adopt') {
      if (epoch !== this.epoch) return { outcome: 'moved', owner: this.owner, epoch: this.epoch };
      [this.state, this.owner, this.epoch] = ['active', owner, epoch + 1];
      return { outcome: 'adopted', owner, epoch: epoch + 1, snapshot: this.snapshot };
    }
    if (older) {
      if (kind === 'commit') return this.set('active', step, { outcome: 'committed' });
      if (kind === 'final') return this.set('released', step, { outcome: 'released' });
      return { outcome: 'absent' };
    }
    if (!mine) return fenced;
    if (is('released')) {
      if (kind === 'release') return { outcome: 'released' };
      return kind === 'final' && seq <= this.seq ? { outcome: 'released' } : fenced;
    }
    if (kind === 'touch') {
      this.idleAt = step.idleAt;
      return { outcome: 'touched' };
    }
    if (kind === 'release') {
      this.state = 'released';
      return { outcome: 'released' };
    }
    if (seq <= this.seq) return { outcome: 'stale', seq: this.seq };
    if (kind === 'final') return this.set('released', step, { outcome: 'released' });
    return this.set('active', step, { outcome: 'committed' });
  }

  set(state: RecordState, step: ReturnType<typeof concrete>, result: object = {}): object {
    const { owner, epoch, seq, snapshot, idleAt, absoluteAt } = step;
    Object.assign(this, { state, owner, epoch, seq, snapshot, idleAt, absoluteAt });
    return result;
  }

  record(): object | undefined {
    const { state, owner, epoch, seq, snapshot, idleAt, absoluteAt } = this;
    if (state === 'absent') return undefined;
    return { state, owner, epoch, seq, snapshot, size: snapshot.length, deadlines: { idleAt, absoluteAt } };
  }
}

/** A step with the numbers that it has at this point of the story. */
function concrete(step: Step, model: Model) {
  const epoch = step.kind === 'end' && step.newcomer ? 0 : Math.max(1, model.epoch + step.epoch);
  const seq = Math.max(1, model.seq + step.seq);
  return {
    kind: step.kind,
    owner: step.owner,
    epoch,
    seq,
    stood: step.stood,
    snapshot: `${step.owner} ${epoch}.${seq}`,
    idleAt: inHours(step.hours),
    absoluteAt: step.absolute ? inHours(step.hours + 1) : undefined,
  };
}

async function perform(
  store: SnapshotStore,
  key: SessionKey,
  step: ReturnType<typeof concrete>,
): Promise<object> {
  const { owner, epoch, seq, idleAt, absoluteAt } = step;
  const snapshot = bytes(step.snapshot);
  const deadlines = { idleAt, absoluteAt };
  switch (step.kind) {
    case 'commit':
      return store.commit(key, { owner, epoch, seq, snapshot, deadlines });
    case 'touch':
      return store.touch(key, { owner, epoch, deadlines });
    case 'release':
      return store.release(key, { owner, epoch });
    case 'final':
      return store.release(key, { owner, epoch, final: { seq, snapshot, deadlines } });
    case 'end':
      return store.end(key, { owner, epoch, until: idleAt, stood: step.stood });
    case 'adopt': {
      const result = await store.adopt(key, { owner, ifEpoch: epoch });
      if (result.outcome === 'absent' || result.outcome === 'ended') return result;
      const { record } = result;
      return {
        outcome: result.outcome,
        owner: record.owner,
        epoch: record.epoch,
        ...('snapshot' in record ? { snapshot: Buffer.from(record.snapshot).toString() } : {}),
      };
    }
  }
}

export function model(store: StoreUnderTest): void {
  describe('any sequence of operations', () => {
    test('has the results and leaves the record that the contract says', async () => {
      const stories = fc.asyncProperty(fc.array(aStep, { minLength: 1, maxLength: 30 }), async (steps) => {
        const key = newKey();
        const model = new Model();
        for (const each of steps) {
          const step = concrete(each, model);
          const expected = model.apply(step);
          assert.deepEqual(await perform(store(), key, step), expected, JSON.stringify(step));
          const record = await store().read(key);
          if (record === undefined) {
            assert.equal(model.record(), undefined);
            continue;
          }
          const { committedAt: _, ageMs: __, snapshot, ...rest } = record;
          assert.deepEqual({ ...rest, snapshot: Buffer.from(snapshot).toString() }, model.record());
        }
      });
      await fc.assert(stories, { numRuns: RUNS });
    });
  });
}
