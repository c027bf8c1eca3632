import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import type { Worker } from 'node:worker_threads';
import type { StatusAnswer } from '../../gateway/admin-api/admin-api-types.ts';
import type { CounterValues } from '../../gateway/counters.ts';
import type { FromWorker } from '../../gateway/workers/messages.ts';
import { CertificateFiles } from '../services/certificate-files.ts';
import { eventually } from '../services/eventually.ts';
import { type Death, kill } from '../services/fragile-worker.ts';
import { RawClient } from '../services/raw-client.ts';
import { SmallInstallation } from '../services/small-installation.ts';
import { connectByTls } from '../services/tls-client.ts';
import type { Visit } from '../services/visitor.ts';

/** Every request on a connection of its own: which worker gets one, the kernel decides anew each time. */
const ALONE = { connection: 'close' };

const DEATHS: readonly (readonly [Death, string])[] = [
  ['throw', 'throws what nobody catches'],
  ['exit', 'exits'],
  ['exhaust', 'runs out of memory'],
];

async function twoWorkers(t: TestContext, gateway: object = {}): Promise<SmallInstallation> {
  const installation = await SmallInstallation.start({
    gateway: { workers: 2, ...gateway },
    pool: { balance: 'round-robin' },
  });
  t.after(() => installation[Symbol.asyncDispose]());
  return installation;
}

const answersIn = ({ responses }: CounterValues): number =>
  Object.values(responses).reduce((sum, count) => sum + count, 0);

/** What each worker has answered, as of its last report. */
function answersBy(workers: readonly Worker[]): () => number[] {
  const counts = workers.map(() => 0);
  for (const [i, worker] of workers.entries()) {
    worker.on('message', (message: FromWorker) => {
      if (message.type === 'report') counts[i] = answersIn(message.report.counters);
    });
  }
  return () => [...counts];
}

/** Makes requests until both workers have answered some. */
async function reachesBoth(installation: SmallInstallation, request: () => Promise<void>): Promise<void> {
  const answers = answersBy(installation.workers.slice(-2));
  await installation.status();
  const before = answers();
  await eventually('both workers have answered', async () => {
    for (let i = 0; i < 4; i++) await request();
    await installation.status();
    return answers().every((count, i) => count > (before[i] ?? 0));
  });
}

/** A connection on which one request has been answered, and the worker that did it. */
async function connectionTo(
  installation: SmallInstallation,
  wanted: number,
): Promise<{ readonly client: RawClient; readonly number: number }> {
  const answers = answersBy(installation.workers);
  const port = Number(new URL(installation.gateway.url).port);
  return eventually('the kernel chooses that worker', async () => {
    await installation.status();
    const before = answers();
    const client = await RawClient.connect(port);
    client.send('GET /cart HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.answered(1);
    await installation.status();
    const number = answers().findIndex((count, i) => count > (before[i] ?? 0));
    if (number === wanted) return { client, number };
    client.socket.destroy();
    return undefined;
  });
}

function setState(installation: SmallInstallation, backend: string, state: string): Promise<Response> {
  return fetch(`${installation.gateway.adminUrl}/v1/backends/${backend}/state`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ state }),
  });
}

describe('a gateway with two workers', () => {
  test('serves a session on its backend, whichever worker a connection comes to', async (t) => {
    const installation = await twoWorkers(t);
    const visitor = installation.visitor();
    const { server } = await visitor.post('/cart/tea', ALONE);
    await reachesBoth(installation, async () => {
      const visit = await visitor.get('/cart', ALONE);
      assert.deepEqual([visit.status, visit.server, visit.body], [200, server, ['tea']]);
    });
    const { gateway } = await installation.status();
    assert.deepEqual(gateway.workers, { configured: 2, running: 2, lost: 0 });
  });

  test('says of its backends what is true of both', async (t) => {
    const installation = await twoWorkers(t);
    const held = Promise.withResolvers<void>();
    const server = installation.server('app-1');
    const visitor = await eventually('a session on app-1', async () => {
      const candidate = installation.visitor();
      return (await candidate.post('/cart/tea')).server === 'app-1' && candidate;
    });
    server.pause = () => held.promise;
    const slow = visitor.get('/slow-cart', ALONE);
    await eventually('the request shows', async () => (await installation.backend('app-1')).inFlight === 1);
    assert.equal((await installation.backend('app-1')).leased, true);
    held.resolve();
    assert.equal((await slow).status, 200);
    await eventually('it is over', async () => (await installation.backend('app-1')).inFlight === 0);
  });

  test('sends nobody to a backend that fails its checks, until it is well again', async (t) => {
    const installation = await twoWorkers(t);
    // It would answer everybody, so that only the checks, which are of the whole gateway, can tell.
    const server = installation.server('app-1');
    const awake = Promise.withResolvers<void>();
    server.beforeHealth = () => awake.promise;
    await installation.sees('app-1', false);
    await reachesBoth(installation, async () => {
      const visit = await installation.visitor().get('/cart', ALONE);
      assert.deepEqual([visit.status, visit.server], [200, 'app-2']);
    });
    awake.resolve();
    await installation.sees('app-1', true);
    const seen = new Set<string | undefined>();
    await reachesBoth(installation, async () => {
      seen.add((await installation.visitor().get('/cart', ALONE)).server);
    });
    assert.deepEqual([...seen].sort(), ['app-1', 'app-2']);
  });

  test('takes a session over from a backend that is lost, whichever worker is asked', async (t) => {
    const installation = await twoWorkers(t);
    const visitor = installation.visitor();
    const { server } = await visitor.post('/cart/tea', ALONE);
    await reachesBoth(installation, async () => {
      await visitor.get('/cart', ALONE);
    });
    await installation.server(server).stop();
    await installation.sees(server ?? '', false);
    const other = installation.other(server).id;
    await reachesBoth(installation, async () => {
      const visit = await visitor.get('/cart', ALONE);
      assert.deepEqual([visit.status, visit.server, visit.body], [200, other, ['tea']]);
    });
  });

  test('drains at both of them, with one request to the admin API', async (t) => {
    const installation = await twoWorkers(t);
    const visitor = await eventually('a session on app-1', async () => {
      const candidate = installation.visitor();
      return (await candidate.post('/cart/tea')).server === 'app-1' && candidate;
    });
    assert.equal((await setState(installation, 'app-1', 'drain')).status, 202);
    await reachesBoth(installation, async () => {
      assert.equal((await installation.visitor().get('/cart', ALONE)).server, 'app-2');
    });
    const drain = await eventually('the drain ends', async () => {
      const { drain } = await installation.backend('app-1');
      return drain?.endedAt !== undefined && drain;
    });
    assert.deepEqual([drain.state, drain.remaining, drain.inFlight], ['complete', 0, 0]);
    await reachesBoth(installation, async () => {
      const visit = await visitor.get('/cart', ALONE);
      assert.deepEqual([visit.status, visit.server, visit.body], [200, 'app-2', ['tea']]);
    });
    assert.equal((await setState(installation, 'app-1', 'ready')).status, 200);
    await reachesBoth(installation, async () => {
      const visit = await visitor.get('/cart', ALONE);
      assert.deepEqual([visit.status, visit.server, visit.body], [200, 'app-2', ['tea']]);
    });
  });

  test('ends no drain while a request is under way, whichever worker has it', async (t) => {
    const installation = await twoWorkers(t);
    const server = installation.server('app-1');
    const arrived = Promise.withResolvers<void>();
    const held = Promise.withResolvers<void>();
    const visitor = await eventually('a session on app-1', async () => {
      const candidate = installation.visitor();
      return (await candidate.post('/cart/tea')).server === 'app-1' && candidate;
    });
    server.pause = () => {
      arrived.resolve();
      return held.promise;
    };
    const slow = visitor.get('/slow-cart', ALONE);
    await arrived.promise;
    await setState(installation, 'app-1', 'drain');
    const { drain } = await eventually('the agent has been asked', async () => {
      const backend = await installation.backend('app-1');
      return backend.drain?.remaining !== undefined && backend;
    });
    assert.deepEqual([drain?.state, drain?.inFlight], ['draining', 1]);
    held.resolve();
    assert.equal((await slow).status, 200);
    await eventually('the drain is complete', async () => {
      return (await installation.backend('app-1')).drain?.state === 'complete';
    });
  });

  test('ends what is under way at both of them when a backend has to go at once', async (t) => {
    const installation = await twoWorkers(t);
    const under = installation.workers.map(() => 0);
    for (const [i, worker] of installation.workers.entries()) {
      worker.on('message', (message: FromWorker) => {
        if (message.type !== 'report') return;
        under[i] = message.report.backends.find(({ backend }) => backend.id === 'app-1')?.inFlight ?? 0;
      });
    }
    const held = Promise.withResolvers<void>();
    t.after(() => held.resolve());
    let arrived = 0;
    for (const server of installation.servers.values()) {
      server.pause = () => {
        arrived += 1;
        return held.promise;
      };
    }
    const answers: Promise<Visit>[] = [];
    await eventually('each has some on app-1', async () => {
      answers.push(installation.visitor().get('/slow-cart', ALONE));
      await eventually('it has arrived', () => arrived === answers.length);
      await installation.status();
      return under.every((count) => count > 0);
    });
    const ended = under.reduce((sum, count) => sum + count, 0);
    assert.equal((await setState(installation, 'app-1', 'maintenance')).status, 202);
    await eventually('nothing is left there', async () => {
      return (await installation.backend('app-1')).drain?.inFlight === 0;
    });
    held.resolve();
    const statuses = (await Promise.all(answers)).map(({ status }) => status);
    assert.deepEqual(
      [
        statuses.filter((status) => status === 502).length,
        statuses.filter((status) => status === 200).length,
      ],
      [ended, answers.length - ended],
    );
  });

  for (const [death, what] of DEATHS) {
    test(`loses no more than the connections of a worker that ${what}, and replaces it`, async (t) => {
      const installation = await twoWorkers(t);
      const dying = await connectionTo(installation, 0);
      const living = await connectionTo(installation, 1);
      const before = await installation.status();
      kill(installation.workers[0], death);
      await dying.client.until(() => dying.client.closed);
      const after = await eventually('another one takes its place', async () => {
        const status = await installation.status();
        const { workers } = status.gateway;
        return workers?.lost === 1 && workers.running === 2 && status;
      });
      assert.deepEqual(countersOf(after), countersOf(before));
      const [line] = installation.gatewayLog.matching(/a worker has died/);
      assert.equal(line?.worker, 1);
      assert.equal(living.client.closed, false);
      living.client.send('GET /cart HTTP/1.1\r\nHost: a\r\n\r\n');
      await living.client.answered(2);
      assert.equal(living.client.responses().messages[1]?.status, 200);
      assert.equal(installation.workers.length, 3);
      await reachesBoth(installation, async () => {
        assert.equal((await installation.visitor().get('/cart', ALONE)).status, 200);
      });
    });
  }

  test('has the worker that replaces another know what was asked for meanwhile', async (t) => {
    const installation = await twoWorkers(t);
    await setState(installation, 'app-1', 'maintenance');
    kill(installation.workers[0], 'exit');
    await eventually('another one takes its place', async () => {
      const { workers } = (await installation.status()).gateway;
      return workers?.lost === 1 && workers.running === 2;
    });
    await reachesBoth(installation, async () => {
      assert.equal((await installation.visitor().get('/cart', ALONE)).server, 'app-2');
    });
  });

  test('finishes what is under way when it stops', async (t) => {
    const installation = await twoWorkers(t);
    const arrived = Promise.withResolvers<void>();
    const held = Promise.withResolvers<void>();
    for (const server of installation.servers.values()) {
      server.pause = () => {
        arrived.resolve();
        return held.promise;
      };
    }
    const slow = installation.visitor().get('/slow-cart', ALONE);
    await arrived.promise;
    const stopped = installation.gateway.stop();
    await eventually('it takes nobody any more', () =>
      fetch(installation.gateway.url, { headers: ALONE }).then(
        () => false,
        () => true,
      ),
    );
    held.resolve();
    assert.equal((await slow).status, 200);
    await stopped;
    assert.equal(installation.gatewayLog.matching(/a worker has died/).length, 0);
  });

  test('resumes at one worker a TLS session that began at the other', async (t) => {
    const files = await CertificateFiles.create();
    t.after(() => files[Symbol.asyncDispose]());
    await files.put('shop', ['localhost']);
    const installation = await twoWorkers(t, { tls: files.settings('shop') });
    const port = Number(new URL(installation.gateway.url).port);
    const { gateway } = await installation.status();
    assert.deepEqual(
      gateway.certificates?.map(({ names }) => names),
      [['localhost']],
    );
    const options = { maxVersion: 'TLSv1.2', servername: 'localhost' } as const;
    const first = await connectByTls(port, options);
    const session = first.getSession();
    assert.ok(session);
    first.destroy();
    // Were it resumed at one of them only, hardly all of these would come to that one.
    for (let i = 0; i < 20; i++) {
      const again = await connectByTls(port, { ...options, session });
      assert.equal(again.isSessionReused(), true);
      again.destroy();
    }
  });
});

describe('a gateway with two workers does not start', () => {
  test('where somebody listens already', async (t) => {
    const installation = await SmallInstallation.start();
    t.after(() => installation[Symbol.asyncDispose]());
    const other = createServer();
    other.listen(0, '127.0.0.1');
    await once(other, 'listening');
    t.after(() => other.close());
    const listen = `127.0.0.1:${(other.address() as AddressInfo).port}`;
    await assert.rejects(installation.startGateway({ workers: 2, listen }), { code: 'PORT_IN_USE' });
  });

  test('where the workers of another gateway listen', async (t) => {
    const installation = await twoWorkers(t);
    const { host: listen } = new URL(installation.gateway.url);
    await assert.rejects(installation.startGateway({ workers: 2, listen }), { code: 'PORT_IN_USE' });
  });

  test('with files that are no certificates', async (t) => {
    const installation = await SmallInstallation.start();
    t.after(() => installation[Symbol.asyncDispose]());
    const certificates = [{ cert: '/nonexistent.crt', key: '/nonexistent.key' }];
    await assert.rejects(installation.startGateway({ workers: 2, tls: { certificates } }), {
      code: 'CONFIG_INVALID',
      message: /nonexistent\.crt/,
    });
  });
});

function countersOf({ gateway }: StatusAnswer): object {
  const { startedAt: _startedAt, workers: _workers, webSockets: _webSockets, ...counters } = gateway;
  return counters;
}
