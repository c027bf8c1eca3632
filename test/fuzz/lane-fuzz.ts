import assert from 'node:assert/strict';
import { pino } from 'pino';
import { type ConfigInput, configSchema } from '../../config/schema.ts';
import { type RunningGateway, startGateway } from '../../gateway/gateway.ts';
import { head } from '../corpus/hostile-request.ts';
import { emptyStore } from '../services/empty-store.ts';
import { eventually } from '../services/eventually.ts';
import { FakeAgent } from '../services/fake-agent.ts';
import { inFlightAt } from '../services/gateway-status.ts';
import { GATEWAY_SECRET } from '../services/gateway-under-test.ts';
import { RawClient } from '../services/raw-client.ts';
import { HEALTH_PATH } from '../services/recording-backend.ts';
import { sendTorn, tear } from '../services/torn.ts';
import { type ClientStream, clientStream } from './client-stream.ts';
import { EchoBackend, GOOD } from './echo-backend.ts';
import { markersIn, newMarker } from './marker.ts';
import { Random } from './random.ts';

/** Far beyond what anything takes on a slow machine. */
const BOUND_MS = 30_000;

export interface FuzzOptions {
  /** What the streams are made of: the same seed gives the same streams. */
  readonly seed: string;
  /** How long new streams are begun. */
  readonly seconds: number;
  /** Streams under way at once. Default 16. */
  readonly concurrency?: number;
}

export interface FuzzReport {
  readonly streams: number;
  /** Whole requests that the backend got, and those among them that had lost their marker on the way. */
  readonly requests: number;
  readonly unmarked: number;
  /** Answers to the client that is well-behaved. */
  readonly good: number;
}

/**
 * Sends a gateway damaged byte streams of many clients, and has it serve a well-behaved one all the while.
 *
 * @throws when a client is sent what is another's; when the backend is sent what a strict reader cannot read, or requests of two
 *   clients in one; when anything is thrown in the gateway; when somebody is not answered; when something is left over in the end
 */
export async function fuzzLanes({ seed, seconds, concurrency = 16 }: FuzzOptions): Promise<FuzzReport> {
  const random = new Random(seed);
  const failures: unknown[] = [];
  const fail = (failure: unknown) => {
    failures.push(failure);
  };
  const deadline = performance.now() + seconds * 1_000;
  const isOver = () => failures.length > 0 || performance.now() >= deadline;
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);
  let streams = 0;
  let good = 0;
  const backend = await EchoBackend.start(random.fork('answers'), fail);
  const agent = await FakeAgent.start({ backend: 'app-1', application: 'app' });
  const gateway = await startFuzzed(backend, agent, fail);
  const port = Number(new URL(gateway.url).port);
  try {
    const hostile = async () => {
      while (!isOver()) {
        const index = streams++;
        // What failed is to be found again.
        const named = (failure: unknown) => fail(new Error(`stream ${index}`, { cause: failure }));
        await sendStream(port, clientStream(random.fork(`stream ${index}`))).catch(named);
        agent.calls.length = 0;
      }
    };
    const behaved = async () => {
      while (!isOver()) good += await behave(port, random.fork(`good ${good}`), isOver);
    };
    const clients = [behaved().catch(fail), ...Array.from({ length: concurrency }, hostile)];
    await Promise.all(clients);
    if (failures.length === 0) await assertNothingLeft(gateway, backend);
  } catch (failure) {
    fail(failure);
  } finally {
    await gateway.stop();
    await eventually('the gateway has left the backend', () => backend.open === 0).catch(fail);
    await backend.stop();
    await agent.stop();
    process.off('uncaughtException', fail);
    process.off('unhandledRejection', fail);
  }
  if (failures.length > 0) throw new AggregateError(failures, `seed ${seed}: ${failures.length} failures`);
  return { streams, ...backend.counts, good };
}

async function startFuzzed(
  backend: EchoBackend,
  agent: FakeAgent,
  fail: (failure: unknown) => void,
): Promise<RunningGateway> {
  const config = configSchema.parse({
    secret: GATEWAY_SECRET,
    gateway: {
      listen: '127.0.0.1:0',
      admin: { listen: '127.0.0.1:0' },
      fastLane: true,
      // Some streams are requests that never end, or leave out the last one, which ends the connection.
      timeouts: { head: '2s', body: '2s', keepAlive: '2s' },
    },
    pools: {
      app: {
        session: { cookie: 'sid' },
        ejection: { failures: 1_000_000 },
        health: { path: HEALTH_PATH, rise: 1, fall: 1_000_000 },
        backends: { 'app-1': { url: backend.url, agent: agent.url } },
      },
    },
  } satisfies ConfigInput);
  const logger = pino(
    { level: 'warn' },
    {
      write: (line: string) => {
        // Raised on purpose is any other code.
        if (JSON.parse(line).code === 'INTERNAL') fail(new Error(`the gateway logged ${line}`));
      },
    },
  );
  return startGateway({ config, logger, store: emptyStore() });
}

/** Resolves when the gateway has closed the connection, or the client has. */
async function sendStream(port: number, { marker, bytes, cuts, ending }: ClientStream): Promise<void> {
  const client = await RawClient.connect(port);
  await sendTorn(client.socket, tear(bytes, cuts));
  if (ending === 'half-close') client.socket.end();
  if (ending === 'abort') client.destroy();
  await bounded(
    'a hostile client is rid of its connection',
    client.until(() => client.closed),
  ).finally(() => client.destroy());
  assertOwn(client, marker);
}

/** Some requests on one connection, each answered before the next. Resolves with their number. */
async function behave(port: number, random: Random, isOver: () => boolean): Promise<number> {
  const marker = newMarker(random);
  const client = await RawClient.connect(port);
  const count = 1 + random.below(10);
  let answered = 0;
  try {
    while (answered < count && !isOver()) {
      const isPost = random.chance(0.5);
      const lines = ['Host: app.test', `Cookie: sid=${marker}`, `X-Count: ${answered}`];
      const text = isPost
        ? `${head(`POST ${GOOD}${answered} HTTP/1.1`, ...lines, 'Content-Length: 5')}hello`
        : head(`GET ${GOOD}${answered} HTTP/1.1`, ...lines);
      await sendTorn(client.socket, tear(Buffer.from(text), [random.below(text.length)]));
      answered += 1;
      const heard = () => client.closed || client.responses().messages.length >= answered;
      await bounded('a well-behaved client is answered', client.until(heard));
      const answer = client.responses().messages[answered - 1];
      assert.equal(answer?.status, 200, JSON.stringify(client.received.toString('latin1').slice(-500)));
      assert.ok(
        answer.body.includes(`X-Count: ${answered - 1}`.toLowerCase()),
        'the answer to another request',
      );
      assertOwn(client, marker);
    }
  } finally {
    client.destroy();
  }
  return answered;
}

/** Rejects when what must come does not. */
async function bounded(what: string, coming: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const never = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${BOUND_MS} ms in vain: ${what}`)), BOUND_MS);
  });
  await Promise.race([coming, never]).finally(() => clearTimeout(timer));
}

function assertOwn(client: RawClient, marker: string): void {
  const others = markersIn(client.received.toString('latin1')).filter((found) => found !== marker);
  assert.deepEqual(others, [], `the client ${marker} was sent what is another's`);
}

/** No request is under way any more, and none has stayed half sent on a connection that is open. */
async function assertNothingLeft(gateway: RunningGateway, backend: EchoBackend): Promise<void> {
  await eventually('no request is in flight', async () => (await inFlightAt(gateway)) === 0);
  await eventually('no request is left unfinished', () => backend.unfinished === 0);
}
