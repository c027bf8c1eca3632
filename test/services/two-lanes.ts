import assert from 'node:assert/strict';
import type { ConfigInput } from '../../config/schema.ts';
import { head } from '../corpus/hostile-request.ts';
import { AFFINITY, SESSION_AFFINITY } from '../corpus/placeholders.ts';
import {
  affinityCookies,
  type ComparableMessage,
  comparableAnswer,
  comparableRequest,
} from './comparable.ts';
import { GatewayUnderTest } from './gateway-under-test.ts';
import { RawClient } from './raw-client.ts';
import { plainAnswer, type RecordedConnection, type RecordingBackend } from './recording-backend.ts';
import { readAllResponses, type StrictRequest } from './strict-http.ts';
import { sendTorn, tear } from './torn.ts';

/** What goes through both lanes. All text is one character per octet. */
export interface LaneExchange {
  /** What the client sends. */
  readonly raw: string;
  /** Methods of the requests in it, in order: so many final answers are waited for. Default: one GET. */
  readonly methods?: readonly string[];
  /** What it sends when it has all of these answers, or as many as `restAfter` says. */
  readonly rest?: string;
  readonly restAfter?: number;
  /** Positions in `raw` at which it is torn, each piece a segment of its own. */
  readonly cuts?: readonly number[];
  /** What the app server says to each request. */
  readonly answer?: PlayedAnswer;
}

export interface PlayedAnswer {
  /** Default: a 200 with a short body. */
  readonly raw?: string;
  readonly cuts?: readonly number[];
  /** Says it as soon as it has a request's head. */
  readonly early?: boolean;
  /** What the app server does when it has said this. */
  readonly ending?: 'end' | 'reset';
  /** Ends the connection once the client has received this. */
  readonly endAfter?: string;
}

/** What a lane made of an exchange. */
export interface Observed {
  /** Whole requests, as the backend got them. */
  readonly requests: readonly ComparableMessage[];
  /** Interim ones, and that to the request behind the exchange, too. */
  readonly answers: readonly ComparableMessage[];
  /** Final statuses, without that of the request behind the exchange. */
  readonly statuses: readonly number[];
  /** Head of an answer that was cut off, and what was wrong with it if it was not just that. */
  readonly cutOff: readonly string[];
  readonly violation: string | undefined;
  /** Whether the connection was good for another request. */
  readonly isKept: boolean;
}

/** The client has no whole answer, and knows it. */
export function isCutOff({ statuses }: Observed): boolean {
  return statuses.length === 0;
}

/**
 * The client knows that the app server failed. How, is a matter of timing where an answer breaks off: it may get 502, or, when the
 * head has gone out, that head and the end of the connection.
 */
export function isBroken(observed: Observed): boolean {
  return isCutOff(observed) || observed.statuses[0] === 502;
}

const SENTINEL = '/sentinel';
const sentinel = head(`GET ${SENTINEL} HTTP/1.1`, 'Host: app.test', 'Connection: close');

/** Two gateways that differ in one setting, each before a backend of its own that is told to do the same. */
export class TwoLanes {
  readonly fast: GatewayUnderTest;
  readonly full: GatewayUnderTest;

  private constructor(fast: GatewayUnderTest, full: GatewayUnderTest) {
    this.fast = fast;
    this.full = full;
  }

  static async start(settings: ConfigInput['gateway'] = {}): Promise<TwoLanes> {
    // A backend whose connections are cut between exchanges would fail a health check now and then.
    const pool = { health: { path: '/healthz', rise: 1, fall: 1_000_000 } };
    const fast = await GatewayUnderTest.start({ ...settings, fastLane: true }, pool);
    const full = await GatewayUnderTest.start({ ...settings, fastLane: false }, pool);
    return new TwoLanes(fast, full);
  }

  /** The same exchange through both lanes, over connections that nobody has used, and then a plain request by somebody else. */
  async exchange(exchange: LaneExchange): Promise<{ readonly fast: Observed; readonly full: Observed }> {
    const [fast, full] = await Promise.all([observe(this.fast, exchange), observe(this.full, exchange)]);
    return { fast, full };
  }

  async stop(): Promise<void> {
    await this.fast.stop();
    await this.full.stop();
  }
}

async function observe(lane: GatewayUnderTest, exchange: LaneExchange): Promise<Observed> {
  const { backend } = lane;
  const { methods = ['GET'], rest, answer = {} } = exchange;
  backend.forget();
  play(backend, answer);
  const client = await RawClient.connect(lane.port);
  await sendTorn(client.socket, tear(withCookies(exchange.raw), exchange.cuts ?? []));
  if (rest !== undefined) {
    await client.answered(exchange.restAfter ?? methods.length, methods);
    client.send(withCookies(rest));
  }
  if (answer.endAfter !== undefined) {
    const { endAfter } = answer;
    await client.until(() => client.closed || client.received.includes(endAfter));
    for (const { socket } of backend.connections) socket.end();
  }
  await client.answered(methods.length, methods);
  const answered = client.responses(methods).messages.length;
  // A lane that has read more or less than the other answers this one differently, or not at all.
  client.send(sentinel);
  await client.until(() => client.closed);
  await backend.until(() => backend.connections.every(isSettled));
  assertSound(backend);
  const observed = described(client, methods, answered, backend);
  await assertServes(lane);
  return observed;
}

function described(
  client: RawClient,
  methods: readonly string[],
  answered: number,
  backend: RecordingBackend,
): Observed {
  const { messages, rest, violation } = readAllResponses(client.received, methods, client.closed);
  const final = messages.filter(({ status }) => status >= 200);
  const isKept = backend.requests.some(({ target }) => target === SENTINEL);
  const port = Number(new URL(backend.url).port);
  const end = rest.indexOf('\r\n\r\n');
  const cut = {
    lines: rest.slice(0, Math.max(end, 0)).split('\r\n'),
    status: 0,
    headers: [],
    body: '',
    trailers: [],
  };
  return {
    requests: backend.requests.map((request) => comparableRequest(request, port)),
    answers: messages.map(comparableAnswer),
    statuses: final.slice(0, answered).map(({ status }) => status),
    cutOff: rest === '' ? [] : comparableAnswer(cut).lines,
    violation,
    isKept,
  };
}

/** What a request left unfinished on a connection that breaks is a matter of timing; that it breaks is not. */
function isSettled(connection: RecordedConnection): boolean {
  const { rest, violation } = connection.read();
  return rest === '' || violation !== undefined || connection.closed;
}

/** A strict reader understands every byte that the backend was sent. */
function assertSound(backend: RecordingBackend): void {
  for (const connection of backend.connections) {
    const sent = JSON.stringify(connection.bytes.toString('latin1'));
    assert.equal(connection.read().violation, undefined, `the app server was sent ${sent}`);
  }
}

/** Another client is served as if nothing had been, by whatever connections the exchange has left behind. */
async function assertServes(lane: GatewayUnderTest): Promise<void> {
  lane.backend.answer = (request) => plainAnswer(request, 'as ever');
  lane.backend.heard = () => undefined;
  const client = await RawClient.connect(lane.port);
  client.send(sentinel);
  await client.until(() => client.closed);
  assert.deepEqual(
    client.responses().messages.map(({ status, body }) => [status, body]),
    [[200, 'as ever']],
    'the next client did not get its own answer',
  );
}

function play(backend: RecordingBackend, answer: PlayedAnswer): void {
  const { raw, early = false } = answer;
  if (raw === undefined) return;
  const isEarly = new WeakSet<RecordedConnection>();
  const say = async (connection: RecordedConnection) => {
    await sendTorn(connection.socket, tear(Buffer.from(raw, 'latin1'), answer.cuts ?? []));
    if (answer.ending === 'end') connection.socket.end();
    if (answer.ending === 'reset') connection.socket.resetAndDestroy();
  };
  backend.answer = (request: StrictRequest, connection) => {
    if (request.target === SENTINEL) return plainAnswer(request);
    if (!isEarly.has(connection)) void say(connection);
    return undefined;
  };
  backend.heard = (connection) => {
    if (!early || isEarly.has(connection)) return;
    const text = connection.bytes.toString('latin1');
    if (!text.includes('\r\n\r\n') || /^GET \/(healthz|sentinel) /.test(text)) return;
    isEarly.add(connection);
    void say(connection);
  };
}

/** What the client sends for `text`. */
export function withCookies(text: string): Buffer {
  const binding = { backend: 'app-1', epoch: 0, stamp: undefined, now: Date.now() };
  const sessions = { [AFFINITY]: 0, [SESSION_AFFINITY]: affinityCookies.sessionTag('known') };
  let filled = text;
  for (const [name, session] of Object.entries(sessions)) {
    if (filled.includes(name))
      filled = filled.replaceAll(name, affinityCookies.issue({ ...binding, session }));
  }
  return Buffer.from(filled, 'latin1');
}
