import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { StickshiftError } from '../../../protocol/errors.ts';
import type { AppToAgent } from '../../express-client/app-link.ts';
import { parseAppMessage } from './app-message.ts';

const GOOD: readonly AppToAgent[] = [
  { t: 'hello', version: 1 },
  { t: 'hello', version: 2, token: 'secret' },
  { t: 'have', ids: ['a', 'b'], last: true },
  { t: 'set', n: 1, id: 'a', data: '{}', idleAt: 1 },
  { t: 'touch', id: 'a', idleAt: 1 },
  { t: 'expired', ids: ['a'] },
  { t: 'destroy', n: 2, id: 'a' },
  { t: 'load', n: 3, id: 'a' },
  { t: 'ok', n: 4 },
  { t: 'session', n: 5, data: null, idleAt: 0 },
  { t: 'error', n: 6, code: 'ENDED', message: 'over' },
];

const isProtocolError = (error: unknown) =>
  error instanceof StickshiftError && error.code === 'LINK_PROTOCOL';

describe('what an app may say', () => {
  for (const message of GOOD) {
    test(`${message.t} is read`, () => assert.deepEqual(parseAppMessage(JSON.stringify(message)), message));

    test(`${message.t} without one of its fields is malformed`, () => {
      for (const field of Object.keys(message).filter((name) => name !== 't' && name !== 'token')) {
        const { [field as keyof typeof message]: _, ...rest } = message;
        assert.throws(() => parseAppMessage(JSON.stringify(rest)), isProtocolError, field);
      }
    });
  }

  test('a kind of message from the future is ignored', () => {
    assert.equal(parseAppMessage('{"t":"pin","id":"a"}'), undefined);
    assert.equal(parseAppMessage('{"t":"constructor"}'), undefined);
  });

  test('whatever it is sent, it reads a message, ignores it, or says LINK_PROTOCOL', () => {
    const anyKind = fc.constantFrom(...GOOD.map(({ t }) => t), 'other');
    const anyMessage = fc
      .tuple(
        anyKind,
        fc.dictionary(fc.constantFrom('n', 'id', 'ids', 'data', 'idleAt', 'last'), fc.jsonValue()),
      )
      .map(([t, fields]) => JSON.stringify({ ...fields, t }));
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), anyMessage), (line) => {
        try {
          const message = parseAppMessage(line);
          assert.ok(message === undefined || typeof message.t === 'string');
        } catch (error) {
          assert.ok(isProtocolError(error), String(error));
        }
      }),
    );
  });

  test('an error never quotes the line, which may hold a session', () => {
    for (const line of ['{"data":"top secret"', '{"t":"set","data":"top secret"}', '"top secret"']) {
      assert.throws(
        () => parseAppMessage(line),
        (error: Error) => !error.message.includes('secret') && error.cause === undefined,
      );
    }
  });

  test('session IDs beyond any framework’s length are refused', () => {
    assert.ok(parseAppMessage(JSON.stringify({ t: 'load', n: 1, id: 'x'.repeat(1024) })));
    assert.throws(() => parseAppMessage(JSON.stringify({ t: 'load', n: 1, id: 'x'.repeat(1025) })));
  });
});
