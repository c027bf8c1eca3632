import { quantile } from '../measure/statistics.ts';
import { KeepAliveClient } from './keep-alive-client.ts';
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
    Array.from({ length: connections }, (_, index) => boundClient(port, `bench-${process.pid}-${index}`)),
  );
  const latencies = new Float32Array(MOST_LATENCIES);
  let requests = 0;
  let errors = 0;
  const started = performance.now();
  const end = started + seconds * 1000;
  await Promise.all(
    clients.map(async ({ client, request }) => {
      for (let sent = performance.now(); sent < end; sent = performance.now()) {
        const { status } = await client.send(request);
        latencies[Math.min(requests, MOST_LATENCIES - 1)] = performance.now() - sent;
        if (status === 200) requests += 1;
        else errors += 1;
        if (client.broken) return;
      }
    }),
  );
  const took = (performance.now() - started) / 1000;
  for (const { client } of clients) client.close();
  const sorted = latencies.subarray(0, Math.min(requests, MOST_LATENCIES)).sort();
  return {
    requests,
    errors,
    seconds: took,
    p50Millis: quantile(sorted, 0.5),
    p99Millis: quantile(sorted, 0.99),
  };
}

async function boundClient(port: number, sessionId: string) {
  const client = new KeepAliveClient(port);
  const { head } = await client.send(get(`sid=${sessionId}`));
  const affinity = /^set-cookie: (stickshift=[^;]+)/im.exec(head)?.[1];
  return { client, request: get(affinity ? `sid=${sessionId}; ${affinity}` : `sid=${sessionId}`) };
}

function get(cookie: string): string {
  return `GET /cart HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: bench\r\nAccept: */*\r\nCookie: ${cookie}\r\n\r\n`;
}
