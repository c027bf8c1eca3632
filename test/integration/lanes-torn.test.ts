import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { head } from '../corpus/hostile-request.ts';
import { SESSION_AFFINITY } from '../corpus/placeholders.ts';
import { type LaneExchange, type PlayedAnswer, TwoLanes, withCookies } from '../services/two-lanes.ts';

const HOST = 'Host: app.test';
const get = (target: string, ...lines: readonly string[]) => head(`GET ${target} HTTP/1.1`, HOST, ...lines);
const PLAIN = get('/here');

/** The requests that are torn: each form of body, and what is behind it. */
const REQUESTS: readonly (LaneExchange & { readonly name: string })[] = [
  {
    name: 'two requests with cookies',
    raw: get('/1', `Cookie: a=1; stickshift=${SESSION_AFFINITY}; sid=known`) + get('/2', 'Connection: close'),
    methods: ['GET', 'GET'],
  },
  {
    name: 'a request with a body, and one behind it',
    raw: `${head('POST /1 HTTP/1.1', HOST, 'Cookie: sid=known', 'Content-Length: 6')}item=1${get('/2')}`,
    methods: ['POST', 'GET'],
  },
  {
    name: 'a request with chunks and trailers, and one behind it',
    raw: `${head('POST /1 HTTP/1.1', HOST, 'Transfer-Encoding: chunked')}5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n${get('/2')}`,
    methods: ['POST', 'GET'],
  },
  {
    name: 'a request with Expect: 100-continue',
    raw: `${head('PUT /1 HTTP/1.1', HOST, 'Expect: 100-continue', 'Content-Length: 2')}ab`,
    methods: ['PUT'],
  },
  {
    name: 'a bad request behind a good one',
    raw: get('/1') + head('POST /2 HTTP/1.1', HOST, 'Content-Length: 1', 'Content-Length: 2'),
    methods: ['GET', 'POST'],
  },
  {
    name: 'a request that does not parse behind a good one',
    raw: `${get('/1')}GET /2 HTTP/1.1\r\nX : a\r\n\r\n`,
    methods: ['GET', 'GET'],
  },
];

/** The answers that are torn: each form of framing, held ones, and ones that become 502. */
const ANSWERS: readonly (PlayedAnswer & { readonly name: string; readonly raw: string })[] = [
  {
    name: 'an answer with a length',
    raw: `${head('HTTP/1.1 200 OK', 'Content-Length: 5', 'Set-Cookie: a=1', 'Cache-Control: public')}hello`,
  },
  {
    name: 'an answer of chunks and trailers',
    raw: `${head('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked')}5;a=b\r\nhello\r\nA\r\n0123456789\r\n0\r\nX: 1\r\n\r\n`,
  },
  {
    name: 'an answer behind interim ones',
    raw: `${head('HTTP/1.1 100 Continue')}${head('HTTP/1.1 103 Early Hints', 'Link: a')}${head('HTTP/1.1 404 No', 'Content-Length: 0')}`,
  },
  {
    name: 'an answer that is held',
    raw: `${head('HTTP/1.1 200 OK', 'Set-Cookie: sid=new', 'Transfer-Encoding: chunked')}2\r\nok\r\n0\r\n\r\n`,
  },
  {
    name: 'an answer that ends with its connection',
    raw: `${head('HTTP/1.1 200 OK', 'X: a')}hello`,
    ending: 'end',
  },
  {
    name: 'an answer without a body',
    raw: head('HTTP/1.1 304 Not Modified', 'Content-Length: 5', 'ETag: "a"'),
  },
  {
    name: 'an answer with two lengths',
    raw: `${head('HTTP/1.1 200 OK', 'Content-Length: 1', 'Content-Length: 1')}a`,
  },
  { name: 'an answer that does not parse', raw: `${head('HTTP/1.1 200 OK', 'X(: a', 'Content-Length: 1')}a` },
];

let lanes: TwoLanes;
before(async () => {
  lanes = await TwoLanes.start();
});
after(() => lanes.stop());

describe('torn at any octet, both lanes make the same of', () => {
  for (const { name, ...exchange } of REQUESTS) {
    test(name, async () => {
      const { length } = withCookies(exchange.raw);
      await assertTearsAlike(length, exchange, (cuts) => ({ ...exchange, cuts }));
    });
  }

  for (const { name, ...answer } of ANSWERS) {
    test(name, async () => {
      const exchange = { raw: PLAIN, answer };
      await assertTearsAlike(answer.raw.length, exchange, (cuts) => ({
        ...exchange,
        answer: { ...answer, cuts },
      }));
    });
  }
});

/** At each position alone, and at all of them together. */
async function assertTearsAlike(
  length: number,
  whole: LaneExchange,
  torn: (cuts: readonly number[]) => LaneExchange,
): Promise<void> {
  // Once more than compared: the first exchange of a session has its binding confirmed, and later ones need not.
  await lanes.exchange(whole);
  const { full: expected } = await lanes.exchange(whole);
  assert.ok(expected.statuses.length > 0);
  const positions = Array.from({ length: length - 1 }, (_, index) => index + 1);
  for (const cuts of [...positions.map((position) => [position]), positions]) {
    const { fast, full } = await lanes.exchange(torn(cuts));
    const where = cuts.length === 1 ? `torn at ${cuts[0]}` : 'torn everywhere';
    assert.deepEqual(full, expected, `the full lane, ${where}`);
    assert.deepEqual(fast, expected, `the fast lane, ${where}`);
  }
}
