import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { CertificateFiles } from '../services/certificate-files.ts';
import { GatewayUnderTest } from '../services/gateway-under-test.ts';
import { type Fields, FLAG, FRAME, headerBlock, RawHttp2Client } from '../services/raw-http2-client.ts';
import { plainAnswer } from '../services/recording-backend.ts';

let files: CertificateFiles;
let gateway: GatewayUnderTest;
before(async () => {
  files = await CertificateFiles.create();
  await files.put('shop', ['shop.example']);
  gateway = await GatewayUnderTest.start({ tls: files.settings('shop'), limits: { head: '8KiB' } });
});
after(async () => {
  await gateway.stop();
  await files[Symbol.asyncDispose]();
});
beforeEach(() => gateway.backend.forget());

const pseudo = (overrides: Readonly<Record<string, string | null>> = {}): Fields =>
  Object.entries({
    ':method': 'GET',
    ':scheme': 'https',
    ':authority': 'shop.example',
    ':path': '/',
    ...overrides,
  }).flatMap(([name, value]) => (value === null ? [] : [[name, value] as const]));

/** By what the gateway is not deceived: each is answered with an error, or its stream or connection ended, and no backend sees it. */
const REFUSED: readonly { name: string; fields: Fields; body?: string }[] = [
  { name: 'no method', fields: pseudo({ ':method': null }) },
  { name: 'no path', fields: pseudo({ ':path': null }) },
  { name: 'an empty path', fields: pseudo({ ':path': '' }) },
  { name: 'a path that is a whole URL', fields: pseudo({ ':path': 'https://shop.example/' }) },
  { name: 'a path without a slash', fields: pseudo({ ':path': 'cart' }) },
  { name: 'a path with a space', fields: pseudo({ ':path': '/ HTTP/1.1' }) },
  { name: 'a path with a line break', fields: pseudo({ ':path': '/ HTTP/1.1\r\nX: y' }) },
  { name: 'a path with a fragment', fields: pseudo({ ':path': '/#a' }) },
  { name: 'a path with raw bytes', fields: pseudo({ ':path': '/\xe9' }) },
  { name: 'the server as a whole with GET', fields: pseudo({ ':path': '*' }) },
  { name: 'another scheme', fields: pseudo({ ':scheme': 'http' }) },
  { name: 'a scheme that is a URL', fields: pseudo({ ':scheme': 'https://evil.example/?' }) },
  { name: 'no scheme', fields: pseudo({ ':scheme': null }) },
  { name: 'no host at all', fields: pseudo({ ':authority': null }) },
  { name: 'an empty authority', fields: pseudo({ ':authority': '' }) },
  { name: 'an authority with a user', fields: pseudo({ ':authority': 'a@shop.example' }) },
  { name: 'an authority with a path', fields: pseudo({ ':authority': 'shop.example/x' }) },
  { name: 'a Host beside another authority', fields: [...pseudo(), ['host', 'evil.example']] },
  { name: 'two Hosts', fields: [...pseudo({ ':authority': null }), ['host', 'a'], ['host', 'a']] },
  {
    name: 'two Hosts, one of them the authority',
    fields: [...pseudo(), ['host', 'shop.example'], ['host', 'evil.example']],
  },
  { name: 'two authorities', fields: [...pseudo(), [':authority', 'evil.example']] },
  { name: 'two paths', fields: [...pseudo(), [':path', '/smuggled']] },
  { name: 'two methods', fields: [...pseudo(), [':method', 'POST']] },
  { name: 'a pseudo field after a field', fields: [['a', 'b'], ...pseudo()] },
  { name: 'a pseudo field that nobody knows', fields: [...pseudo(), [':evil', 'x']] },
  { name: 'a pseudo field of answers', fields: [...pseudo(), [':status', '200']] },
  {
    name: 'CONNECT',
    fields: [
      [':method', 'CONNECT'],
      [':authority', 'evil.example:443'],
    ],
  },
  { name: 'extended CONNECT', fields: [...pseudo({ ':method': 'CONNECT' }), [':protocol', 'websocket']] },
  { name: ':protocol with GET', fields: [...pseudo(), [':protocol', 'websocket']] },
  { name: 'TRACE', fields: pseudo({ ':method': 'TRACE' }) },
  { name: 'a method that is none', fields: pseudo({ ':method': 'GET / HTTP/1.1\r\nX:' }) },
  { name: 'a name in capitals', fields: [...pseudo(), ['X-Custom', 'a']] },
  ...['chunked', 'identity', 'gzip'].map((value) => ({
    name: `transfer-encoding: ${value}`,
    fields: [...pseudo({ ':method': 'POST' }), ['transfer-encoding', value] as const],
    body: '0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n',
  })),
  { name: 'connection', fields: [...pseudo(), ['connection', 'cookie']] },
  { name: 'connection: close', fields: [...pseudo(), ['connection', 'close']] },
  { name: 'keep-alive', fields: [...pseudo(), ['keep-alive', 'timeout=5']] },
  { name: 'proxy-connection', fields: [...pseudo(), ['proxy-connection', 'keep-alive']] },
  { name: 'upgrade', fields: [...pseudo(), ['upgrade', 'websocket']] },
  { name: 'http2-settings', fields: [...pseudo(), ['http2-settings', 'AAMAAABk']] },
  { name: 'te with anything but trailers', fields: [...pseudo(), ['te', 'trailers, chunked']] },
  {
    name: 'two lengths',
    fields: [...pseudo({ ':method': 'POST' }), ['content-length', '1'], ['content-length', '2']],
    body: 'ab',
  },
  {
    name: 'one length twice',
    fields: [...pseudo({ ':method': 'POST' }), ['content-length', '2'], ['content-length', '2']],
    body: 'ab',
  },
  {
    name: 'a length that is none',
    fields: [...pseudo({ ':method': 'POST' }), ['content-length', '+2']],
    body: 'ab',
  },
  {
    name: 'a list of lengths',
    fields: [...pseudo({ ':method': 'POST' }), ['content-length', '2, 2']],
    body: 'ab',
  },
  { name: 'a length without a body', fields: [...pseudo({ ':method': 'POST' }), ['content-length', '2']] },
];

/** Fields that nghttp2 leaves out, without a word to anybody. */
const LEFT_OUT: readonly (readonly [string, readonly [string, string]])[] = [
  ['a name with a colon', ['x:y', 'a']],
  ['a name with a line break', ['x\r\ntransfer-encoding', 'chunked']],
  ['a name with a space', ['transfer-encoding ', 'chunked']],
  ['an empty name', ['', 'a']],
  ['a value with a line break', ['x', 'a\r\nTransfer-Encoding: chunked']],
  ['a value with a bare newline', ['x', 'a\nHost: b']],
  ['a value with a NUL', ['x', 'a\0b']],
];

describe('a client of HTTP/2 does not get past the gateway with', () => {
  for (const { name, fields, body } of REFUSED) {
    test(name, async (t) => {
      const client = await RawHttp2Client.connect(gateway.port);
      t.after(() => client.destroy());
      const stream = client.open(fields, { end: body === undefined });
      if (body !== undefined) client.data(stream, body);
      const { answered, body: said, error } = await client.outcome(stream);
      if (answered) assert.match(said, /"status":(400|405)/);
      else assert.notEqual(error ?? 0, 0);
      assert.deepEqual(gateway.backend.requests, []);
      const next = await RawHttp2Client.connect(gateway.port);
      t.after(() => next.destroy());
      assert.equal((await next.outcome(next.open(pseudo()))).body, 'ok');
    });
  }

  for (const [name, length, sent] of [
    ['a body shorter than its length', '20', 'GET /smuggled'],
    ['a body longer than its length', '1', 'xGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'],
  ] as const) {
    test(name, async (t) => {
      const client = await RawHttp2Client.connect(gateway.port);
      t.after(() => client.destroy());
      const stream = client.open([...pseudo({ ':method': 'POST' }), ['content-length', length]], {
        end: false,
      });
      client.data(stream, sent);
      const { answered } = await client.outcome(stream);
      assert.equal(answered, false);
      assert.deepEqual(gateway.backend.requests, []);
    });
  }

  // nghttp2 passes each of them on as a body that has come to its end.
  for (const [name, code] of [
    ['NO_ERROR', 0],
    ['CANCEL', 8],
    ['INTERNAL_ERROR', 2],
  ] as const) {
    test(`a body that it resets with ${name} half-way, as if it were whole`, async (t) => {
      const client = await RawHttp2Client.connect(gateway.port);
      t.after(() => client.destroy());
      const stream = client.open(pseudo({ ':method': 'POST', ':path': '/half' }), { end: false });
      client.data(stream, 'half', { end: false });
      await gateway.backend.until(() =>
        gateway.backend.connections.some(({ bytes }) => bytes.includes('half\r\n')),
      );
      client.reset(stream, code);
      await gateway.backend.until(() => gateway.backend.connections.every(({ closed }) => closed));
      assert.deepEqual(gateway.backend.requests, []);
    });
  }
});

describe('a client of HTTP/2 is served', () => {
  const served = async (fields: Fields, body?: string) => {
    const client = await RawHttp2Client.connect(gateway.port);
    const stream = client.open(fields, { end: body === undefined });
    if (body !== undefined) client.data(stream, body);
    const outcome = await client.outcome(stream);
    client.destroy();
    assert.equal(outcome.body, 'ok');
    const [request] = gateway.backend.requests;
    assert.ok(request);
    gateway.backend.forget();
    return { ...request, headers: new Map(request.headers) };
  };

  test('with its authority as Host, or with its Host alone, or with both when they are one', async () => {
    const host = async (fields: Fields) => (await served(fields)).headers.get('host');
    assert.equal(await host(pseudo({ ':authority': 'shop.example:8443' })), 'shop.example:8443');
    assert.equal(await host([...pseudo({ ':authority': null }), ['host', 'shop.example']]), 'shop.example');
    assert.equal(await host([...pseudo(), ['host', 'SHOP.example']]), 'shop.example');
  });

  test('with its target octet for octet, and none of the fields that are about HTTP/2', async () => {
    const target = "/a//b/%2e%2e/;jsessionid=1?x=%20&y=:/?@!$&'()*+,;=";
    const { target: seen, headers } = await served([...pseudo({ ':path': target }), ['te', 'trailers']]);
    assert.equal(seen, target);
    for (const name of headers.keys()) assert.ok(!name.startsWith(':') && name !== 'te', name);
  });

  test('with its cookies as one field, and repeated fields joined', async () => {
    const { headers } = await served([
      ...pseudo(),
      ['cookie', 'a=1'],
      ['cookie', 'b=2; c=3'],
      ['x-list', '1'],
      ['x-list', '2'],
    ]);
    assert.equal(headers.get('cookie'), 'a=1; b=2; c=3');
    assert.equal(headers.get('x-list'), '1, 2');
  });

  test('with a body whose length it does not say, in chunks, and with one whose length it does, by length', async () => {
    const chunked = await served(pseudo({ ':method': 'POST' }), 'hello');
    assert.equal(chunked.headers.get('transfer-encoding'), 'chunked');
    assert.equal(chunked.body, 'hello');
    const measured = await served([...pseudo({ ':method': 'POST' }), ['content-length', '5']], 'hello');
    assert.equal(measured.headers.get('content-length'), '5');
    assert.equal(measured.body, 'hello');
    const deleted = await served(pseudo({ ':method': 'DELETE' }), 'hello');
    assert.equal(deleted.headers.get('content-length'), '5');
    assert.equal(deleted.body, 'hello');
  });

  test('with values beyond ASCII as they are', async () => {
    const { headers } = await served([...pseudo(), ['x-name', 'caf\xc3\xa9 \xff']]);
    assert.equal(headers.get('x-name'), 'caf\xc3\xa9 \xff');
  });

  for (const [name, field] of LEFT_OUT) {
    test(`without ${name}`, async () => {
      const { headers } = await served([...pseudo(), field, ['x-last', '1']]);
      const own = [...headers.keys()].filter((header) => !header.startsWith('x-forwarded-'));
      assert.deepEqual(own.toSorted(), ['connection', 'host', 'x-last']);
    });
  }

  test('with OPTIONS of the server as a whole', async () => {
    assert.equal((await served(pseudo({ ':method': 'OPTIONS', ':path': '*' }))).target, '*');
  });
});

describe('a connection of HTTP/2 is ended when its client', () => {
  const flooded = async (flood: (client: RawHttp2Client) => void) => {
    const client = await RawHttp2Client.connect(gateway.port);
    flood(client);
    await client.until(() => client.closed);
    const next = await RawHttp2Client.connect(gateway.port);
    assert.equal((await next.outcome(next.open(pseudo()))).body, 'ok');
    next.destroy();
  };

  test('opens streams and resets them, again and again', async () => {
    await flooded((client) => {
      for (let i = 0; i < 2_000; i++)
        client.reset(client.open([...pseudo({ ':path': '/reset' }), ['expect', '100-continue']]), 8);
    });
  });

  test('opens more streams than it may, again and again', async () => {
    gateway.backend.answer = (request) => (request.target === '/many' ? undefined : plainAnswer(request));
    await flooded((client) => {
      for (let i = 0; i < 500; i++) client.open(pseudo({ ':path': '/many' }));
    });
  });

  test('sends a head that never ends', async () => {
    await flooded((client) => {
      const field = headerBlock([['x', 'y'.repeat(10_000)]]);
      client.frame(FRAME.headers, 0, 1, headerBlock(pseudo()));
      for (let i = 0; i < 500; i++) client.frame(FRAME.continuation, 0, 1, field);
    });
  });

  test('sends settings that set more than there is', async () => {
    await flooded((client) => client.frame(FRAME.settings, 0, 0, Buffer.alloc(6 * 1_000)));
  });

  test('sends frames that are none', async () => {
    await flooded((client) => client.frame(FRAME.windowUpdate, 0, 0, Buffer.alloc(4)));
  });

  test('speaks HTTP/1.1 on it', async () => {
    await flooded((client) => client.frame(FRAME.data, FLAG.endStream, 99, Buffer.from('x')));
  });
});

test('streams beyond a hundred at once are refused, and no backend sees them', async (t) => {
  gateway.backend.answer = () => undefined;
  const client = await RawHttp2Client.connect(gateway.port);
  t.after(() => client.destroy());
  const streams = Array.from({ length: 150 }, () => client.open(pseudo({ ':path': '/many' })));
  const refused = await Promise.all(streams.slice(100).map((stream) => client.outcome(stream)));
  assert.deepEqual(new Set(refused.map(({ error }) => error)), new Set([7]));
  await gateway.backend.until(() => gateway.backend.requests.length === 100);
});

test('a head over the limit is answered with 431, one far over it is reset', async (t) => {
  const client = await RawHttp2Client.connect(gateway.port);
  t.after(() => client.destroy());
  const over = await client.outcome(client.open([...pseudo(), ['x', 'y'.repeat(8_200)]]));
  assert.match(over.body, /HEAD_TOO_LARGE/);
  const far = Array.from({ length: 600 }, (_, index) => [`x-${index}`, 'y'] as const);
  const { answered, error } = await client.outcome(client.open([...pseudo(), ...far]));
  assert.deepEqual([answered, error], [false, 11]);
  assert.deepEqual(gateway.backend.requests, []);
});
