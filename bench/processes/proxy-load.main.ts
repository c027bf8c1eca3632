import { BodyClient } from './body-client.ts';
import { BoundClient } from './bound-client.ts';
import { openLoop } from './open-loop.ts';
import type { ProxyLoadResult, ProxyLoadTask } from './proxy-load.ts';

/** Each has its own range of ephemeral ports, so that many connections do not run short of them. */
const SOURCE_ADDRESSES = Array.from({ length: 16 }, (_, index) => `127.0.0.${index + 2}`);
/** How many of the connections that are held are opened at a time: no listen queue overflows by that. */
const OPENED_AT_ONCE = 32;

let held: BoundClient[] = [];

process.on('message', (task: ProxyLoadTask) => {
  perform(task)
    .catch((error: unknown) => ({ failed: String(error) }))
    .then((result) => process.send?.(result));
});
process.once('disconnect', () => process.exit());
process.send?.('ready');

/** Counts what the clients send, from its first request. */
class Tally {
  requests = 0;
  errors = 0;
  readonly #started = performance.now();

  add(answered: boolean): void {
    if (answered) this.requests += 1;
    else this.errors += 1;
  }

  result(): ProxyLoadResult {
    const { requests, errors } = this;
    return { requests, errors, seconds: (performance.now() - this.#started) / 1000 };
  }
}

async function perform(task: ProxyLoadTask): Promise<ProxyLoadResult> {
  switch (task.do) {
    case 'hold':
      return hold(task.port, task.connections);
    case 'release':
      return release();
    case 'bodies':
      return bodies(task);
    default:
      return withClients(task);
  }
}

async function withClients(
  task: Extract<ProxyLoadTask, { do: 'saturate' | 'connect' | 'pace' | 'bind' }>,
): Promise<ProxyLoadResult> {
  const { port, tls = false } = task;
  const clients = Array.from(
    { length: task.connections },
    (_, index) => new BoundClient(port, `bench-${process.pid}-${index}`, { tls }),
  );
  const servers = await Promise.all(clients.map((client) => client.bind()));
  try {
    switch (task.do) {
      case 'saturate':
        return await repeat(clients, task.seconds, (client) => client.send());
      case 'connect':
        return await connectAnew(clients, task.seconds);
      case 'pace':
        return await openLoop(clients, task);
      default:
        return {
          ...new Tally().result(),
          clients: clients.map(({ cookie }, index) => ({ cookie, servers: servers[index] ?? [] })),
        };
    }
  } finally {
    for (const client of clients) client.disconnect();
  }
}

async function repeat(
  clients: readonly BoundClient[],
  seconds: number,
  request: (client: BoundClient) => Promise<{ readonly status: number }>,
): Promise<ProxyLoadResult> {
  const tally = new Tally();
  const end = performance.now() + seconds * 1000;
  await Promise.all(
    clients.map(async (client) => {
      while (performance.now() < end) tally.add((await request(client)).status === 200);
    }),
  );
  return tally.result();
}

function connectAnew(clients: readonly BoundClient[], seconds: number): Promise<ProxyLoadResult> {
  for (const client of clients) client.disconnect();
  let connections = 0;
  return repeat(clients, seconds, (client) =>
    client.sendOnce(SOURCE_ADDRESSES[connections++ % SOURCE_ADDRESSES.length] ?? '127.0.0.1'),
  );
}

async function hold(port: number, connections: number): Promise<ProxyLoadResult> {
  const tally = new Tally();
  let opened = 0;
  await Promise.all(
    Array.from({ length: OPENED_AT_ONCE }, async () => {
      while (opened < connections) {
        const localAddress = SOURCE_ADDRESSES[opened % SOURCE_ADDRESSES.length] ?? '127.0.0.1';
        const client = new BoundClient(port, `bench-idle-${opened++}`, { localAddress });
        held.push(client);
        tally.add((await client.send()).status === 200);
      }
    }),
  );
  return tally.result();
}

function release(): ProxyLoadResult {
  const tally = new Tally();
  for (const client of held) {
    tally.add(client.connected);
    client.disconnect();
  }
  held = [];
  return tally.result();
}

async function bodies(task: Extract<ProxyLoadTask, { do: 'bodies' }>): Promise<ProxyLoadResult> {
  const { port, connections, direction, bytes, seconds } = task;
  const { clients: bound = [] } = await withClients({ do: 'bind', port, connections });
  const clients = bound.map(({ cookie }) => new BodyClient(port, cookie));
  const tally = new Tally();
  const end = performance.now() + seconds * 1000;
  await Promise.all(
    clients.map(async (client) => {
      // One at least, however slow.
      do tally.add(await client[direction](bytes));
      while (performance.now() < end && tally.errors === 0);
    }),
  );
  const result = tally.result();
  for (const client of clients) client.close();
  return result;
}
