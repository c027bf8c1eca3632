import { setTimeout as pause } from 'node:timers/promises';
import { quantile } from '../measure/statistics.ts';
import { SessionClient } from './session-client.ts';
import type { Kind, Latency, SessionLoadRequest, SessionLoadResult } from './session-load.ts';

const clients: SessionClient[] = [];

process.on('message', (request: SessionLoadRequest) => {
  generate(request)
    .catch((error: unknown) => ({ failed: String(error) }))
    .then((result) => process.send?.(result));
});
process.once('disconnect', () => process.exit());
process.send?.('ready');

/** What one measurement notes. */
class Notes {
  readonly #started = performance.now();
  readonly #latencies: Record<Kind, number[]> = { read: [], write: [] };
  #errors = 0;

  async request(client: SessionClient, kind: Kind, since = performance.now()): Promise<void> {
    const { status } = await client.send(kind);
    if (status === 200) this.#latencies[kind].push(performance.now() - since);
    else this.#errors += 1;
  }

  result(): SessionLoadResult {
    const { read, write } = this.#latencies;
    return {
      requests: read.length + write.length,
      errors: this.#errors,
      seconds: (performance.now() - this.#started) / 1000,
      latency: { read: latency(read), write: latency(write) },
    };
  }
}

async function generate(request: SessionLoadRequest): Promise<SessionLoadResult> {
  switch (request.do) {
    case 'begin':
      return begin(request.port, request.connections);
    case 'saturate':
      return connected((notes) => saturate(notes, request.kind, request.seconds * 1000));
    case 'pace':
      return connected((notes) => pace(notes, request.perSecond, request.seconds * 1000));
    case 'count':
      return count(request.kind, request.requests);
    case 'fill':
      return fill(request.port, request.connections, request.sessions);
  }
}

async function begin(port: number, connections: number): Promise<SessionLoadResult> {
  const notes = new Notes();
  clients.push(...Array.from({ length: connections }, () => new SessionClient(port)));
  await Promise.all(clients.map((client) => notes.request(client, 'write')));
  // The first answer may name a backend without the session's epoch, or the like: another request settles it.
  await Promise.all(clients.map((client) => notes.request(client, 'read')));
  for (const client of clients) client.disconnect();
  return notes.result();
}

/** Connections that idled since the last measurement may be gone: opened anew, and used once before it begins. */
async function connected(measure: (notes: Notes) => Promise<void>): Promise<SessionLoadResult> {
  await Promise.all(clients.map((client) => client.send('read')));
  const notes = new Notes();
  await measure(notes);
  const result = notes.result();
  for (const client of clients) client.disconnect();
  return result;
}

/** Not one request more than is asked for: somebody counts what they lead to. */
async function count(kind: Kind, requests: number): Promise<SessionLoadResult> {
  const notes = new Notes();
  for (let sent = 0; sent < requests; sent++) {
    const client = clients[sent % clients.length];
    if (client) await notes.request(client, kind);
  }
  for (const client of clients) client.disconnect();
  return notes.result();
}

async function saturate(notes: Notes, kind: Kind, millis: number): Promise<void> {
  const end = performance.now() + millis;
  await Promise.all(
    clients.map(async (client) => {
      while (performance.now() < end) await notes.request(client, kind);
    }),
  );
}

/** Latency counts from when a request was due, so that an answer that comes late makes the ones behind it late as well. */
async function pace(notes: Notes, perSecond: number, millis: number): Promise<void> {
  const started = performance.now();
  const interval = (1000 * clients.length) / perSecond;
  await Promise.all(
    clients.map(async (client, index) => {
      const offset = (interval * index) / clients.length;
      for (let turn = 0; offset + turn * interval < millis; turn++) {
        const due = started + offset + turn * interval;
        const early = due - performance.now();
        if (early > 0) await pause(early);
        // A timer that fires late is the load generator's own doing, and no latency.
        await notes.request(client, turn % 2 === 0 ? 'read' : 'write', early > 0 ? performance.now() : due);
      }
    }),
  );
}

async function fill(port: number, connections: number, sessions: number): Promise<SessionLoadResult> {
  const notes = new Notes();
  let begun = 0;
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const client = new SessionClient(port);
      while (begun < sessions) {
        begun++;
        client.forget();
        await notes.request(client, 'write');
      }
      client.disconnect();
    }),
  );
  return notes.result();
}

function latency(millis: number[]): Latency {
  const sorted = millis.toSorted((a, b) => a - b);
  return { p50Millis: quantile(sorted, 0.5), p99Millis: quantile(sorted, 0.99) };
}
