import assert from 'node:assert/strict';
import type { IncomingHttpHeaders } from 'node:http';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { readRequests, type StrictRequest } from '../../test/services/strict-http.ts';
import { createRequestHeaders, describeClient } from '../forwarding/request-headers.ts';
import { createTrustedProxies } from '../forwarding/trusted-proxies.ts';
import { forwardedHead } from './forwarded-head.ts';
import { END_OF_HEAD } from './head-end.ts';
import { RequestHeadReader } from './request-head.ts';
import { damaged, visibleText } from './testing/octet-streams.ts';
import { requestHeads } from './testing/request-heads.ts';

const CLIENT = '192.0.2.1';
const PROXY = '10.0.0.1';
const READ = ['x-session', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-port'];

/** A reader that has read the head; `undefined` when that is not for this lane. */
function read(text: string): RequestHeadReader | undefined {
  const reader = new RequestHeadReader(READ);
  const end = text.indexOf(END_OF_HEAD);
  return end !== -1 && reader.read(text, end) ? reader : undefined;
}

/** The lines for a backend, of a head that is in order. */
function linesOf(
  lines: readonly string[],
  { forwarded = {}, trusted = false, description = '' }: Partial<Parameters<typeof sent>[1]> = {},
): string[] {
  const text = lines.join('\r\n') + END_OF_HEAD;
  const reader = read(text);
  assert.ok(reader, text);
  const head = sent({ reader, text }, { forwarded, trusted, description });
  assert.ok(head.endsWith(END_OF_HEAD));
  return head.slice(0, -END_OF_HEAD.length).split('\r\n');
}

function sent(
  { reader, text }: { readonly reader: RequestHeadReader; readonly text: string },
  {
    forwarded,
    trusted,
    description,
  }: {
    readonly forwarded: IncomingHttpHeaders;
    readonly trusted: boolean;
    readonly description: string;
  },
): string {
  return forwardedHead(reader, text, description, trusted, { cookie: reader.headers.cookie, ...forwarded });
}

/** What whoever forgives nothing reads of a head and a body of its length. */
function readStrictly(head: string, length: number): StrictRequest {
  const bytes = Buffer.from(head + 'x'.repeat(length), 'latin1');
  const { messages, rest, violation } = readRequests(bytes);
  assert.deepEqual([messages.length, rest, violation], [1, '', undefined], head);
  return messages[0] as StrictRequest;
}

const GET = ['GET /cart?a=b HTTP/1.1', 'Host: shop.test'];

describe('the head for a backend', () => {
  test('is the client’s, with names in lower case and one blank before each value', () => {
    assert.deepEqual(linesOf([...GET, 'X-Mine:1', 'X-Other: \t2 ', 'X-Empty:', 'Accept: */*']), [
      'GET /cart?a=b HTTP/1.1',
      'host: shop.test',
      'x-mine: 1',
      'x-other: 2',
      'x-empty: ',
      'accept: */*',
      'Connection: keep-alive',
    ]);
  });

  test('has nothing of the client’s connection, nor what would lead an app astray', () => {
    const lines = linesOf([
      ...GET,
      'Connection: close',
      'Keep-Alive: timeout=5',
      'TE: trailers',
      'Trailer: X-Sum',
      'Proxy-Authorization: Basic x',
      'Proxy: http://evil.test',
      'X_Forwarded_For: 192.0.2.9',
    ]);
    assert.deepEqual(lines.slice(1), ['host: shop.test', 'Connection: keep-alive']);
  });

  test('passes on a trusted proxy’s claims, and nobody else’s', () => {
    const claims = ['Forwarded: for=192.0.2.9', 'X-Real-IP: 192.0.2.9', 'X-Forwarded-Server: a'];
    assert.deepEqual(linesOf([...GET, ...claims]).slice(2), ['Connection: keep-alive']);
    assert.deepEqual(linesOf([...GET, ...claims], { trusted: true }).slice(2), [
      'forwarded: for=192.0.2.9',
      'x-real-ip: 192.0.2.9',
      'x-forwarded-server: a',
      'Connection: keep-alive',
    ]);
  });

  test('says of a header that decisions read what they made of it, in its place', () => {
    const lines = linesOf([...GET, 'Cookie: stickshift=1; a=1', 'X-Session: abc', 'X-Mine: 1'], {
      forwarded: { cookie: 'a=1', 'x-session': 'def', traceparent: '00-1' },
      description: 'x-forwarded-proto: http\r\n',
    });
    assert.deepEqual(lines.slice(2), [
      'cookie: a=1',
      'x-session: def',
      'x-mine: 1',
      'x-forwarded-proto: http',
      'traceparent: 00-1',
      'Connection: keep-alive',
    ]);
  });

  test('says that there is no body where a method lets expect one, unless the client has said something of it', () => {
    const lengths = (first: string, ...more: readonly string[]) =>
      linesOf([first, 'Host: shop.test', ...more]).filter((line) => /^content-length/i.test(line));
    for (const method of ['POST', 'PUT', 'PATCH'])
      assert.deepEqual(lengths(`${method} / HTTP/1.1`), ['Content-Length: 0']);
    for (const method of ['DELETE', 'OPTIONS'])
      assert.deepEqual(lengths(`${method} / HTTP/1.1`), ['content-length: 0']);
    for (const method of ['GET', 'HEAD']) assert.deepEqual(lengths(`${method} / HTTP/1.1`), []);
    for (const method of ['GET', 'POST', 'DELETE']) {
      assert.deepEqual(lengths(`${method} / HTTP/1.1`, 'Content-Length: 05'), ['content-length: 05']);
    }
  });

  test('is one whole head to whoever forgives nothing, of the same request and length', () => {
    const value = fc.option(visibleText, { nil: undefined });
    let taken = 0;
    fc.assert(
      fc.property(
        damaged(requestHeads),
        fc.record({ cookie: value, traceparent: value, 'x-session': value }, { requiredKeys: [] }),
        fc.boolean(),
        fc.constantFrom('', 'x-forwarded-for: 192.0.2.1\r\nx-forwarded-proto: http\r\n'),
        (text, forwarded, trusted, description) => {
          const reader = read(text);
          if (!reader) return;
          const length = Math.max(0, reader.contentLength);
          fc.pre(length < 10_000);
          taken += 1;
          const head = sent({ reader, text }, { forwarded, trusted, description });
          const request = readStrictly(head, length);
          assert.partialDeepStrictEqual(request, { method: reader.method, target: reader.target });
          assert.equal(request.body.length, length);
        },
      ),
      { numRuns: 2_000 },
    );
    assert.ok(taken > 100, `only ${taken} were taken`);
  });

  test('has the headers that the full lane sends', () => {
    const requestHeaders = createRequestHeaders({
      trustedProxies: createTrustedProxies([PROXY]),
      affinityCookies: ['stickshift'],
    });
    fc.assert(
      fc.property(damaged(requestHeads), fc.constantFrom(CLIENT, PROXY), (text, remoteAddress) => {
        const reader = read(text);
        if (!reader) return;
        const length = Math.max(0, reader.contentLength);
        fc.pre(length < 10_000);
        const all = Object.fromEntries(
          Array.from({ length: reader.lines.count }, (_, index) => [
            reader.lines.name(index).lower,
            reader.lines.value(text, index),
          ]),
        );
        const request = { headers: all, socket: { remoteAddress } };
        const client = requestHeaders.client(request);
        const trusted = client.peerTrusted;

        const claims = Object.entries(reader.headers).filter(([name]) => name.startsWith('x-forwarded-'));
        const told: IncomingHttpHeaders = trusted ? Object.fromEntries(claims) : {};
        describeClient(told, client, reader.headers.host);
        const description = Object.entries(told).map(([name, value]) => `${name}: ${value}\r\n`);
        const { headers } = readStrictly(
          trusted
            ? sent({ reader, text }, { forwarded: told, trusted, description: '' })
            : sent({ reader, text }, { forwarded: {}, trusted, description: description.join('') }),
          length,
        );

        const expected = { ...requestHeaders.forBackend(request, client) };
        // Whoever sends the body says this.
        const isOfTheMessage = (name: string) => name === 'connection' || name === 'content-length';
        assert.deepEqual(
          headers.filter(([name]) => !isOfTheMessage(name)).sort(),
          Object.entries(expected)
            .filter(([name, value]) => value !== undefined && !isOfTheMessage(name))
            .sort(),
        );
      }),
      { numRuns: 1_000 },
    );
  });
});
