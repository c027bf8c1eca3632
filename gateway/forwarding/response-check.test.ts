import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { answerFlaw } from './response-check.ts';

type Answer = Parameters<typeof answerFlaw>[0];

const OK: Answer = { statusCode: 200, statusMessage: 'OK', headers: {} };

function refuses(answer: Partial<Answer>): void {
  const flaw = answerFlaw({ ...OK, ...answer });
  assert.equal(flaw?.code, 'BACKEND_INVALID', JSON.stringify(answer));
}

describe('an answer that its parser has let pass', () => {
  test('has no flaw when it is in order', () => {
    for (const answer of [
      {},
      { statusCode: 599 },
      { statusMessage: '' },
      { statusMessage: 'Gr\xfc\xdfe\tall' },
      { headers: { 'transfer-encoding': 'chunked' } },
      { headers: { 'transfer-encoding': 'CHUNKED' } },
    ]) {
      assert.equal(answerFlaw({ ...OK, ...answer }), undefined, JSON.stringify(answer));
    }
  });

  test('is refused when it is none to a request, or switches to what nobody asked for', () => {
    for (const statusCode of [undefined, 0, 99, 100, 101, 199]) refuses({ statusCode });
  });

  test('is refused with an octet in its reason that ends a line somewhere, or shows nowhere', () => {
    for (const octet of ['\0', '\x01', '\n', '\r', '\x1b', '\x7f', '\u0100', '\u2028'])
      refuses({ statusMessage: `O${octet}K` });
  });

  test('is refused in a coding that nobody undoes', () => {
    for (const coding of [
      'gzip',
      'gzip, chunked',
      'chunked, chunked',
      'identity',
      'xchunked',
      'chunked ',
      '',
    ]) {
      refuses({ headers: { 'transfer-encoding': coding } });
    }
  });

  test('is let out in one line only, whatever its reason is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (statusMessage) => {
        if (answerFlaw({ ...OK, statusMessage })) return;
        assert.equal(Buffer.from(statusMessage, 'latin1').toString('latin1'), statusMessage);
        assert.doesNotMatch(statusMessage, /[\r\n\0]/);
      }),
      { numRuns: 500 },
    );
  });

  test('is refused without a word of what it said', () => {
    const flaw = answerFlaw({ ...OK, statusMessage: 'secret\x01', headers: {} });
    assert.doesNotMatch(String(flaw?.message), /secret/);
  });
});
