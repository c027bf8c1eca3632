import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { END_OF_HEAD, mayBecomeHead } from './head-end.ts';
import { RequestHeadReader } from './request-head.ts';
import { damaged } from './testing/octet-streams.ts';
import { requestHeads } from './testing/request-heads.ts';

describe('what there is of a head', () => {
  test('is waited for when the rest can make a head of it, wherever it was torn', () => {
    const reader = new RequestHeadReader([]);
    fc.assert(
      fc.property(damaged(requestHeads), fc.nat(), (text, at) => {
        const end = text.indexOf(END_OF_HEAD);
        fc.pre(end !== -1 && reader.read(text, end));
        assert.ok(mayBecomeHead(text.slice(0, at % (end + END_OF_HEAD.length))));
      }),
    );
  });

  test('is not waited for with an octet in it that no head has', () => {
    fc.assert(
      fc.property(
        requestHeads,
        fc.constantFrom('\n', '\ra', '\r\r', '\0', '\n\n'),
        fc.nat(),
        (text, bad, at) => {
          const begin = text.slice(0, at % text.indexOf(END_OF_HEAD));
          // Behind a CR an LF is good, and a CR is not.
          fc.pre(!begin.endsWith('\r'));
          assert.equal(mayBecomeHead(begin + bad), false);
        },
      ),
    );
  });

  test('may end in a CR, whose LF is to come', () => {
    assert.equal(mayBecomeHead('GET / HTTP/1.1\r'), true);
    assert.equal(mayBecomeHead('GET / HTTP/1.1\r\nX: 1\r'), true);
    assert.equal(mayBecomeHead('GET / HTTP/1.1\r\n\r'), true);
    assert.equal(mayBecomeHead('\r'), true);
    assert.equal(mayBecomeHead(''), true);
  });

  test('may not begin with an LF', () => {
    assert.equal(mayBecomeHead('\nGET'), false);
    assert.equal(mayBecomeHead('\r\nGET'), true, 'what empty lines are to mean is for somebody else');
  });
});
