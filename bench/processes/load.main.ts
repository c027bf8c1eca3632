import { connect, type Socket } from 'node:net';
import { quantile } from '../measure/statistics.ts';
import type { LoadRequest, LoadResult } from './load.ts';

/** Latencies that one measurement can note; more would only take memory from what is measured. */
const MOST_LATENCIES = 2_000_000;

process.on('message', (request: LoadRequest) => {
  generate(request).then((result) => process.send?.(result));
});
process.once('disconnect', () => process.exit());
process.send?.('ready');

/**
 * Keeps so many connections busy, each with one request at a time, for so many seconds. Every connection is a client of its own
 * with a session, and is bound to a backend by its first answer.
 */
async function generate({ port, connections, seconds }: LoadRequest): Promise<LoadResult> {
  const clients = await Promise.all(
    Array.from({ length: connections }, (_, index) => Client.bound(port, index)),
  );
  const latencies = new Float32Array(MOST_LATENCIES);
  let requests = 0;
  let errors = 0;
  const started = performance.now();
  const end = started + seconds * 1000;
  await Promise.all(
    clients.map(async (client) => {
      for (let sent = performance.now(); sent < end; sent = performance.now()) {
        const { status } = await client.get();
        latencies[Math.min(requests, MOST_LATENCIES - 1)] = performance.now() - sent;
        if (status === 200) requests += 1;
        else errors += 1;
        if (client.broken) return;
      }
    }),
  );
  const took = (performance.now() - started) / 1000;
  for (const client of clients) client.close();
  const sorted = latencies.subarray(0, Math.min(requests, MOST_LATENCIES)).sort();
  return {
    requests,
    errors,
    seconds: took,
    p50Millis: quantile(sorted, 0.5),
    p99Millis: quantile(sorted, 0.99),
  };
}

class Client {
  broken = false;
  readonly #socket: Socket;
  #request: string;
  #received = '';
  #answered: ((answer: { status: number; head: string }) => void) | undefined;

  private constructor(socket: Socket, sessionId: string) {
    this.#socket = socket;
    this.#request = requestHead(`sid=${sessionId}`);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.broken = true;
      this.#answered?.({ status: 0, head: '' });
    });
  }

  static async bound(port: number, index: number): Promise<Client> {
    const sessionId = `bench-${process.pid}-${index}`;
    const client = new Client(connect({ port, host: '127.0.0.1', noDelay: true }), sessionId);
    const { head } = await client.get();
    const affinity = /^set-cookie: (stickshift=[^;]+)/im.exec(head)?.[1];
    if (affinity) client.#request = requestHead(`sid=${sessionId}; ${affinity}`);
    return client;
  }

  get(): Promise<{ status: number; head: string }> {
    return new Promise((resolve) => {
      this.#answered = resolve;
      this.#socket.write(this.#request, 'latin1');
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    this.#received += chunk.toString('latin1');
    const end = this.#received.indexOf('\r\n\r\n');
    if (end < 0) return;
    const head = this.#received.slice(0, end);
    const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
    if (this.#received.length < end + 4 + length) return;
    this.#received = this.#received.slice(end + 4 + length);
    this.#answered?.({ status: Number(head.slice(9, 12)), head });
  }
}

function requestHead(cookie: string): string {
  return `GET /cart HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: bench\r\nAccept: */*\r\nCookie: ${cookie}\r\n\r\n`;
}
