import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Operation } from '../history/history.ts';
import { WrittenHistory } from '../testing/written-history.ts';
import { checkSession } from './check-session.ts';

const history = () => new WrittenHistory();
const kinds = ({ operations }: WrittenHistory) => checkSession(operations).map(({ kind }) => kind);
const found = ({ operations }: WrittenHistory) =>
  checkSession(operations).map(({ kind, operation, tokens }) => [kind, operation, tokens.join(' ')]);

describe('what a session may show', () => {
  test('all that was acknowledged, in order', () => {
    assert.deepEqual(
      kinds(history().append('1', '1').ok('read', '1').append('2', '1 2').ok('final', '1 2')),
      [],
    );
  });

  test('an append without an answer at once, later, or never', () => {
    assert.deepEqual(kinds(history().append('1', '1').failed('append', '2').ok('read', '1 2')), []);
    assert.deepEqual(
      kinds(history().append('1', '1').failed('append', '2').append('3', '1 3').ok('read', '1 3 2')),
      [],
    );
    assert.deepEqual(
      kinds(history().append('1', '1').failed('append', '2', 'refused').append('3', '1 3')),
      [],
    );
  });

  test('everything, behind a new ID', () => {
    assert.deepEqual(kinds(history().append('1', '1').ok('login', '1').ok('read', '1')), []);
  });

  test('nothing, after a logout', () => {
    assert.deepEqual(kinds(history().append('1', '1').ok('logout', '').ok('read', '')), []);
  });

  test('nothing, after a login or logout that may have happened', () => {
    assert.deepEqual(kinds(history().append('1', '1').failed('login').ok('read', '')), []);
    assert.deepEqual(
      kinds(history().append('1', '1').failed('logout', undefined, 'refused').ok('read', '')),
      [],
    );
    assert.deepEqual(kinds(history().append('1', '1').failed('logout').ok('read', '1').ok('read', '')), []);
  });
});

describe('what a session must not show', () => {
  test('less than was acknowledged', () => {
    assert.deepEqual(found(history().append('1', '1').append('2', '1 2').ok('read', '1')), [
      ['lost', 3, '1.2'],
    ]);
    assert.deepEqual(found(history().append('1', '1').ok('read', '')), [['lost', 2, '1.1']]);
  });

  test('an acknowledged append without what it appended', () => {
    assert.deepEqual(found(history().append('1', '1').append('2', '1')), [['lost', 2, '1.2']]);
  });

  test('less than was seen, though nobody acknowledged it', () => {
    const seen = history().append('1', '1').failed('append', '2').ok('read', '1 2').ok('read', '1');
    assert.deepEqual(found(seen), [['lost', 4, '1.2']]);
  });

  test('less for a while', () => {
    const back = history().append('1', '1').append('2', '1 2').ok('read', '1').ok('read', '1 2');
    assert.deepEqual(found(back), [['gone-back', 3, '1.2']]);
  });

  test('a part of itself after a login that may have happened', () => {
    const part = history().append('1', '1').append('2', '1 2').failed('login').ok('read', '1');
    assert.deepEqual(found(part), [['lost', 4, '1.2']]);
  });

  test('a token twice, in another order, or that nobody appended', () => {
    assert.deepEqual(kinds(history().append('1', '1').ok('read', '1 1')), ['duplicated']);
    assert.deepEqual(kinds(history().append('1', '1').append('2', '1 2').ok('read', '2 1')), ['reordered']);
    assert.deepEqual(kinds(history().append('1', '1').failed('append', '2').ok('read', '2 1')), [
      'reordered',
    ]);
    assert.deepEqual(kinds(history().append('1', '1').ok('read', '1 9')), ['foreign']);
  });

  test('anything of itself after its logout', () => {
    assert.deepEqual(kinds(history().append('1', '1').ok('logout', '').ok('read', '1')), ['resurrected']);
    assert.deepEqual(kinds(history().append('1', '1').ok('logout', '1')), ['resurrected']);
  });

  test('different things at different gateways when all is well again', () => {
    const told = history()
      .append('1', '1')
      .failed('append', '2')
      .ok('final', '1')
      .ok('final', '1 2', { gateway: 'gateway-2' });
    assert.deepEqual(kinds(told), ['disagreement']);
  });

  test('nothing but errors when all is well again', () => {
    assert.deepEqual(kinds(history().append('1', '1').failed('final').failed('final')), ['unanswered']);
  });

  test('a loss is reported once', () => {
    const lossy = history()
      .append('1', '1')
      .append('2', '1 2')
      .ok('read', '1')
      .append('3', '1 3')
      .ok('final', '1 3');
    assert.deepEqual(kinds(lossy), ['lost']);
  });
});

/** What a correct session would answer, with appends whose answers are lost taking effect at any later time. */
const runs = fc.array(
  fc.oneof(
    fc.constant({ what: 'append' } as const),
    fc.constant({ what: 'read' } as const),
    fc.constant({ what: 'login' } as const),
    fc.record({ what: fc.constant('late append' as const), after: fc.integer({ min: 0, max: 5 }) }),
  ),
  { minLength: 1, maxLength: 40 },
);

function correctHistory(
  steps: readonly ({ what: string } | { what: 'late append'; after: number })[],
): WrittenHistory {
  const written = new WrittenHistory();
  const list: string[] = [];
  const late: { token: string; at: number }[] = [];
  steps.forEach((step, index) => {
    for (const { token } of late.filter(({ at }) => at === index)) list.push(token);
    const token = String(index);
    if ('after' in step) {
      written.failed('append', token);
      if (step.after > 0) late.push({ token, at: index + step.after });
    } else if (step.what === 'append') {
      list.push(token);
      written.append(token, list.join(' '));
    } else {
      written.ok(step.what === 'login' ? 'login' : 'read', list.join(' '));
    }
  });
  return written;
}

describe('for any order of operations', () => {
  test('a session that forgets nothing is never accused', () => {
    fc.assert(fc.property(runs, (steps) => assert.deepEqual(kinds(correctHistory(steps)), [])));
  });

  test('a token that vanishes from all later answers is always found', () => {
    fc.assert(
      fc.property(runs, fc.nat(), (steps, choice) => {
        const { operations } = correctHistory([{ what: 'append' }, ...steps, { what: 'read' }]);
        const shown = operations.flatMap(({ answer }, at) =>
          answer && answer.tokens.length > 0 ? [at] : [],
        );
        // Not from the last answer only: what is shown before must be missing after.
        const from = shown[1 + (choice % (shown.length - 1))] ?? operations.length - 1;
        const token = operations[shown[0] ?? 0]?.answer?.tokens[0];
        const forgetful = operations.map((operation, at): Operation => {
          if (at < from || !operation.answer) return operation;
          const tokens = operation.answer.tokens.filter((one) => one !== token);
          return { ...operation, answer: { ...operation.answer, tokens } };
        });
        assert.ok(
          checkSession(forgetful).some(({ kind, tokens }) => kind === 'lost' && tokens.includes(token ?? '')),
        );
      }),
    );
  });
});
