import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AdoptAnswer } from '../../protocol/agent-api.ts';
import { StickshiftError } from '../../protocol/errors.ts';
import type { RecordSummary } from '../../store/snapshot-store.ts';
import { emptyStore } from '../../test/services/empty-store.ts';
import { GatewayCounters } from '../counters.ts';
import { KnownBindings } from '../sessions/known-bindings.ts';
import { SessionReference } from '../sessions/session-reference.ts';
import { recordedLog } from '../testing/recorded-log.ts';
import { backendOf, testPool } from '../testing/test-pool.ts';
import { AnswerCheck } from './answer-check.ts';

const RECORD: RecordSummary = {
  state: 'active',
  owner: 'app-1',
  epoch: 3,
  seq: 9,
  size: 10,
  committedAt: 0,
  ageMs: 0,
  deadlines: { idleAt: Number.MAX_SAFE_INTEGER, absoluteAt: undefined },
};

/** A check of an answer by app-1 for a session at epoch 3, as the store has it. */
function checkWith(
  lookup: () => Partial<RecordSummary> | undefined,
  {
    epoch = 3,
    retires = false,
    settlingMs = 0,
    adopt = (): Promise<AdoptAnswer> => Promise.reject(new StickshiftError('AGENT_UNREACHABLE', 'gone')),
  } = {},
) {
  const pool = testPool({ 'app-1': {}, 'app-2': {} });
  const session = new SessionReference(pool, 'abc');
  const known = new KnownBindings();
  const counters = new GatewayCounters();
  const store = {
    ...emptyStore(),
    settlingMs,
    lookup: async () => {
      const record = lookup();
      return record && { ...RECORD, ...record };
    },
  };
  const check = new AnswerCheck({
    store,
    agentClient: { adopt },
    known,
    counters,
    logger: recordedLog().logger,
  });
  const sent = { backend: backendOf(pool, 'app-1'), session, epoch, stamp: undefined };
  return { check, sent, known, counters, confirm: () => check.confirm(sent, { retires }) };
}

describe('the check of an answer', () => {
  test('is due exactly while the lease does not vouch for the session', () => {
    const { check, sent } = checkWith(() => ({}));
    const { lease } = sent.backend;
    assert.equal(check.isDue(sent), true);
    const answer = { incarnation: 'first', recall: 0, renewed: 0, ttlMs: 60_000, recalls: [] };
    lease.answered(lease.nextCall(), answer, (id) => `shop ${id}`);
    const routed = { ...sent, stamp: lease.stamp() };
    assert.equal(check.isDue(routed), false);
    const recalls = [{ recall: 1, sessionIds: ['abc'], reason: 'lost' as const }];
    lease.answered(lease.nextCall(), { ...answer, recall: 1, recalls }, (id) => `shop ${id}`);
    assert.equal(check.isDue(routed), true);
  });

  test('lets an answer out when the record says that the session is still there', async () => {
    for (const [record, options] of [
      [{}, {}],
      [{ epoch: 7 }, { epoch: 0 }],
      [undefined, { epoch: 0 }],
      [{ state: 'ended' }, {}],
      [{ state: 'ended', owner: 'app-2' }, { retires: true }],
    ] as const) {
      const { confirm, counters } = checkWith(() => record, options);
      await confirm();
      assert.deepEqual(counters.answersChecked, { confirmed: 1, withheld: 0 });
    }
  });

  test('withholds it when the session is somewhere else, or nowhere', async () => {
    for (const [record, code] of [
      [{ owner: 'app-2', epoch: 4 }, 'COMMIT_FENCED'],
      [{ epoch: 4 }, 'COMMIT_FENCED'],
      [{ epoch: 5 }, 'COMMIT_FENCED'],
      [{ epoch: 2 }, 'COMMIT_FENCED'],
      [{ state: 'released' }, 'COMMIT_FENCED'],
      [undefined, 'COMMIT_FENCED'],
      [{ state: 'ended', owner: 'app-2' }, 'COMMIT_ENDED'],
    ] as const) {
      const { confirm, counters, known, sent } = checkWith(() => record);
      await assert.rejects(confirm, { code });
      assert.deepEqual(counters.answersChecked, { confirmed: 0, withheld: 1 });
      const doubt = known.get(sent.session.ref);
      assert.equal(doubt?.isDoubtful, true);
      if (record && 'owner' in record) assert.equal(doubt?.backend?.id, record.owner);
    }
  });

  test('withholds it when the store cannot tell, or has yet to settle', async () => {
    const away = () => {
      throw new StickshiftError('STORE_UNREACHABLE', 'no connection');
    };
    await assert.rejects(checkWith(away).confirm, { code: 'COMMIT_UNKNOWN' });
    await assert.rejects(checkWith(() => ({}), { settlingMs: 10 }).confirm, { code: 'COMMIT_UNKNOWN' });
    const adopt = async () => ({ outcome: 'unknown', code: 'STORE_UNREACHABLE' }) as const;
    await assert.rejects(checkWith(away, { adopt }).confirm, { code: 'COMMIT_UNKNOWN' });
  });

  test('takes the agent’s word while the store cannot tell, and not when it can', async () => {
    const adopt = async () => ({ outcome: 'found', epoch: 3, seq: 9, ageMs: 0, size: 10 }) as const;
    const away = () => {
      throw new StickshiftError('STORE_UNREACHABLE', 'no connection');
    };
    const { confirm, counters } = checkWith(away, { adopt });
    await confirm();
    assert.deepEqual(counters.answersChecked, { confirmed: 1, withheld: 0 });
    await checkWith(() => ({}), { settlingMs: 10, adopt }).confirm();
    const elsewhere = checkWith(() => ({ owner: 'app-2', epoch: 4 }), { adopt });
    await assert.rejects(elsewhere.confirm, { code: 'COMMIT_FENCED' });
    await assert.rejects(checkWith(() => undefined, { adopt }).confirm, { code: 'COMMIT_FENCED' });
    await assert.rejects(checkWith(away, { adopt, epoch: 0 }).confirm, { code: 'COMMIT_UNKNOWN' });
  });
});
