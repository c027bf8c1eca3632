import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WrittenHistory } from '../testing/written-history.ts';
import { checkHistory } from './check-history.ts';

const commit = (owner: string, epoch: number) => ({ at: 0, key: 'key', owner, epoch, seq: 1 });
const stolen = (tokens: string[], generation: string | null) => ({
  answer: { server: 'express-2', generation, tokens },
});

test('a history in which everything held has no violations', () => {
  const { operations } = new WrittenHistory()
    .append('1', '1')
    .ok('login', '1')
    .ok('attack', '')
    .ok('read', '1');
  const verdict = checkHistory({ operations, commits: [commit('express-1', 1), commit('express-2', 2)] });
  assert.deepEqual(verdict, { violations: [], lost: 0, resurrected: 0, diverged: 0, unanswered: 0 });
});

test('a dead ID that shows what its session held is a resurrection', () => {
  const { operations } = new WrittenHistory().append('1', '1').ok('logout', '').ok('attack', '1');
  assert.equal(checkHistory({ operations, commits: [] }).resurrected, 1);
});

test('a dead ID that shows its session without its tokens is one as well', () => {
  const { operations } = new WrittenHistory()
    .append('1', '1')
    .ok('logout', '')
    .ok('attack', '', stolen([], 'g'));
  assert.equal(checkHistory({ operations, commits: [] }).resurrected, 1);
});

test('a dead ID may begin another session', () => {
  const { operations } = new WrittenHistory()
    .append('1', '1')
    .ok('logout', '')
    .ok('attack', '', stolen(['forged.1'], 'another'));
  assert.equal(checkHistory({ operations, commits: [] }).resurrected, 0);
});

test('two owners in one epoch have diverged; one owner in two epochs has not', () => {
  const commits = [commit('express-1', 1), commit('express-1', 2), commit('express-2', 2)];
  const { diverged, violations } = checkHistory({ operations: [], commits });
  assert.equal(diverged, 1);
  assert.match(violations[0]?.message ?? '', /express-1 and express-2 both committed in epoch 2/);
});

test('lost tokens are counted, not the answers that lack them', () => {
  const { operations } = new WrittenHistory()
    .append('1', '1')
    .append('2', '1 2')
    .append('3', '1 2 3')
    .ok('read', '1');
  assert.equal(checkHistory({ operations, commits: [] }).lost, 2);
});
