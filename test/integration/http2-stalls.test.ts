import assert from 'node:assert/strict';
import { constants } from 'node:http2';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { CertificateFiles } from '../services/certificate-files.ts';
import { eventually } from '../services/eventually.ts';
import { inFlightAt } from '../services/gateway-status.ts';
import { type Fields, RawHttp2Client } from '../services/raw-http2-client.ts';
import { SmallSite } from '../services/small-site.ts';

const MIB = 1024 * 1024;
const WHOLE_WINDOW = 2 ** 31 - 1;
/** Far beyond what sockets and the machine between them take without anybody reading. */
const MORE_THAN_BUFFERS = 32 * MIB;

let files: CertificateFiles;
let clients: RawHttp2Client[];
before(async () => {
  files = await CertificateFiles.create();
  await files.put('shop', ['shop.example']);
});
after(() => files[Symbol.asyncDispose]());
beforeEach(() => {
  clients = [];
});
afterEach(() => {
  for (const client of clients) client.destroy();
});

/** A client that grants no stream anything by itself. */
async function connect({ port }: SmallSite, window = 0): Promise<RawHttp2Client> {
  const client = await RawHttp2Client.connect(port, { window });
  clients.push(client);
  client.grant(0, WHOLE_WINDOW - 65_535);
  return client;
}

const get = (path: string): Fields => request('GET', path);
const post = (path: string): Fields => [...request('POST', path), ['cookie', 'sid=abc']];

function request(method: string, path: string): Fields {
  return [
    [':method', method],
    [':scheme', 'https'],
    [':authority', 'shop.example'],
    [':path', path],
  ];
}

async function start(idle: string): Promise<SmallSite> {
  return SmallSite.start({ gateway: { tls: files.settings('shop'), timeouts: { idle } } });
}

/** Answers `/<length>` with a body of that length. */
function answerLengths(site: SmallSite): void {
  site.serve(() => (request, response) => {
    request.resume();
    response.end(Buffer.alloc(Number(request.url?.slice(1)), 'A'));
  });
}

describe('a client of HTTP/2 that takes nothing of an answer', () => {
  let site: SmallSite;
  before(async () => {
    site = await start('500ms');
  });
  after(() => site.stop());
  beforeEach(() => answerLengths(site));

  for (const [what, fields] of [
    ['a small one', get('/10')],
    ['one that is larger than all buffers', get(`/${MORE_THAN_BUFFERS}`)],
    ['one that was held for its commit', post('/500000')],
    ['one that was too large to be held', post(`/${2 * MIB}`)],
  ] as const) {
    test(`has it reset, and its connection ended when that is all: ${what}`, async () => {
      const client = await connect(site);
      const stream = client.open(fields);
      const { answered, error } = await client.outcome(stream);
      assert.deepEqual([answered, error], [true, constants.NGHTTP2_CANCEL]);
      await client.until(() => client.closed);
      await eventually('none is in flight', async () => (await inFlightAt(site.gateway)) === 0);
    });
  }

  test('has all of them reset, however many they are', async () => {
    const client = await connect(site);
    const streams = Array.from({ length: 50 }, () => client.open(get('/1000')));
    for (const outcome of await Promise.all(streams.map((stream) => client.outcome(stream))))
      assert.equal(outcome.error, constants.NGHTTP2_CANCEL);
    await client.until(() => client.closed);
  });

  test('has it reset after it took some, too', async () => {
    const client = await connect(site, 50_000);
    const stream = client.open(get(`/${MIB}`));
    const { body, error } = await client.outcome(stream);
    assert.deepEqual([body.length, error], [50_000, constants.NGHTTP2_CANCEL]);
  });

  test('keeps its connection for what else is under way there', async () => {
    let finish: (() => void) | undefined;
    site.serve(() => (request, response) => {
      if (request.url === '/later') finish = () => response.end('later');
      else response.end('now');
    });
    const client = await connect(site);
    const later = client.open(get('/later'));
    await eventually('it is under way', () => finish !== undefined);
    assert.equal((await client.outcome(client.open(get('/now')))).error, constants.NGHTTP2_CANCEL);
    client.grant(later, 100);
    finish?.();
    assert.equal((await client.outcome(later)).body, 'later');
    const next = client.open(get('/now'));
    client.grant(next, 100);
    assert.equal((await client.outcome(next)).body, 'now');
  });

  test('has its connection ended, too, if it does not even read from it', async () => {
    const client = await connect(site, WHOLE_WINDOW);
    const stream = client.open(get(`/${MORE_THAN_BUFFERS}`));
    await client.until(() => client.isAnswered(stream));
    client.pause();
    await eventually('the answer is given up', async () => (await inFlightAt(site.gateway)) === 0);
    client.resume();
    await client.until(() => client.closed);
    assert.ok(client.received(stream) < MORE_THAN_BUFFERS);
  });

  test('may do so with an event stream', async () => {
    site.serve(() => (request, response) => {
      if (request.url !== '/events') {
        response.end('now');
        return;
      }
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: 1\n\n');
    });
    const client = await connect(site);
    const events = client.open(get('/events'));
    await client.until(() => client.isAnswered(events));
    // Began after it.
    assert.equal((await client.outcome(client.open(get('/now')))).error, constants.NGHTTP2_CANCEL);
    client.grant(events, 100);
    await client.until(() => client.received(events) === 'data: 1\n\n'.length);
  });
});

test('a client of HTTP/2 that takes a little now and then gets all of its answer', async (t) => {
  const site = await start('2s');
  t.after(() => site.stop());
  answerLengths(site);
  const client = await connect(site);
  const stream = client.open(get(`/${MORE_THAN_BUFFERS}`));
  // Three times as long as it may take nothing, and as its backend may send nothing.
  for (let round = 0; round < 80; round++) {
    client.grant(stream, 500);
    await pause(75);
  }
  client.grant(stream, WHOLE_WINDOW - 80 * 500);
  const { body, error } = await client.outcome(stream);
  assert.deepEqual([body.length, error], [MORE_THAN_BUFFERS, undefined]);
});

test('a client of HTTP/2 for which too much waits has less time to begin taking it', async (t) => {
  const site = await start('10s');
  t.after(() => site.stop());
  answerLengths(site);
  const client = await connect(site);
  const length = 400_000;
  const streams = Array.from({ length: 100 }, () => client.open(post(`/${length}`)));
  let given = 0;
  for (const stream of streams) void client.outcome(stream).then(() => given++);
  const most = Math.floor((16 * MIB) / length);
  await eventually('what waits is bounded', () => 100 - given <= most);
  assert.ok(given < 100);
});
