import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { head } from '../corpus/hostile-request.ts';
import { HEALTH_PATH, plainAnswer } from '../services/recording-backend.ts';
import { readRequests, type StrictRequest } from '../services/strict-http.ts';
import { sendTorn, tear } from '../services/torn.ts';
import { chunked } from './client-stream.ts';
import { markersIn } from './marker.ts';
import type { Random } from './random.ts';

/** Targets of clients that are served well, whatever happens to others. */
export const GOOD = '/good/';

interface Connection {
  readonly socket: Socket;
  /** What is not a whole request yet. */
  unread: Buffer;
}

/**
 * An app server that says to each client what that has sent, in every form that answers have, and now and then in a broken one. It
 * reads strictly, and counts on finding one client in each request.
 */
export class EchoBackend {
  readonly url: string;
  /** Whole requests, and those among them that had lost their marker. */
  readonly counts = { requests: 0, unmarked: 0 };
  readonly #server: Server;
  readonly #random: Random;
  readonly #fail: (failure: unknown) => void;
  readonly #open = new Set<Connection>();

  private constructor(server: Server, random: Random, fail: (failure: unknown) => void) {
    this.#server = server;
    this.#random = random;
    this.#fail = fail;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('connection', (socket) => this.#accept(socket));
  }

  /** @param fail - told what was wrong with the bytes that came */
  static async start(random: Random, fail: (failure: unknown) => void): Promise<EchoBackend> {
    const server = createServer({ noDelay: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new EchoBackend(server, random, fail);
  }

  /** Connections that the gateway has open here. */
  get open(): number {
    return this.#open.size;
  }

  /** Of these, the ones with a request that has not come whole. */
  get unfinished(): number {
    return [...this.#open].filter(({ unread }) => unread.length > 0).length;
  }

  async stop(): Promise<void> {
    for (const { socket } of this.#open) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(socket: Socket): void {
    const connection: Connection = { socket, unread: Buffer.alloc(0) };
    this.#open.add(connection);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#open.delete(connection));
    let answering = Promise.resolve();
    socket.on('data', (chunk: Buffer) => {
      connection.unread = Buffer.concat([connection.unread, chunk]);
      // One whole body may be long: it is read once it has all come, and not at each of its pieces.
      const { messages, rest, violation } = readRequests(connection.unread);
      if (violation !== undefined)
        this.#fail(new Error(`${violation} in ${JSON.stringify(rest.slice(0, 500))}`));
      connection.unread = Buffer.from(rest, 'latin1');
      for (const request of messages) {
        answering = answering.then(() => this.#answer(socket, request)).catch(this.#fail);
      }
    });
  }

  async #answer(socket: Socket, request: StrictRequest): Promise<void> {
    if (request.target === HEALTH_PATH) {
      socket.write(plainAnswer(request));
      return;
    }
    const seen = [...request.lines, request.body, ...request.trailers.flat()].join('\n');
    const markers = markersIn(seen);
    this.counts.requests += 1;
    if (markers.length === 0) this.counts.unmarked += 1;
    assert.ok(markers.length <= 1, `one request of several clients: ${markers.join()}`);
    // By what it says, not by when it came: a run is repeated in the same order only by chance.
    const random = this.#random.fork(seen);
    const isGood = request.target.startsWith(GOOD);
    const { bytes, isLast, isWhole } = answerTo(random, request, seen, isGood);
    const cuts = isWhole ? [] : Array.from({ length: random.below(4) }, () => random.below(bytes.length));
    await sendTorn(socket, tear(bytes, cuts));
    if (isLast) socket.end();
  }
}

interface EchoAnswer {
  readonly bytes: Buffer;
  /** The connection ends with it. */
  readonly isLast: boolean;
  /** It must not be torn. */
  readonly isWhole: boolean;
}

/** Longer ones are not read at once. */
const SHORT = 8_192;

function answerTo(random: Random, { method }: StrictRequest, seen: string, isGood: boolean): EchoAnswer {
  const isHead = method === 'HEAD';
  const body = isHead ? '' : seen;
  const fine = ['HTTP/1.1 200 OK', 'Content-Type: text/plain'];
  const interim = random.chance(0.1) ? head('HTTP/1.1 103 Early Hints', 'Link: </a>') : '';
  const say = (text: string, { isLast = false, isWhole = false } = {}) => {
    return { bytes: Buffer.from(interim + text, 'latin1'), isLast, isWhole };
  };
  const sized = `${head(...fine, `Content-Length: ${seen.length}`)}${body}`;
  const parts = isHead ? '' : chunked(random, seen);
  // Without a body nothing of it can be broken, and a connection that ends behind a good answer fails the next request on it.
  switch (random.below(isGood || isHead || seen.length > SHORT ? 5 : 9)) {
    case 0:
    case 1:
      return say(sized);
    case 2:
      return say(head(...fine, 'Transfer-Encoding: chunked') + parts);
    case 3:
      return say(`${head(...fine, 'Connection: close')}${body}`, { isLast: true });
    case 4:
      return say(`${head(...fine, 'Set-Cookie: sid=other', `Content-Length: ${seen.length}`)}${body}`);
    // An answer that nobody asked for must not become somebody else's. If it came later than the one before, nobody could tell.
    case 5:
      return say(sized + sized, { isWhole: true, isLast: random.chance(0.5) });
    case 6:
      return say(`${head(...fine, `Content-Length: ${seen.length + 10}`)}${body}`, { isLast: true });
    case 7:
      return say(head(...fine, 'Transfer-Encoding: chunked') + parts.slice(0, -3), { isLast: true });
    default:
      return say(head(...fine, 'Content-Length: 1', `Content-Length: ${seen.length}`) + body);
  }
}
