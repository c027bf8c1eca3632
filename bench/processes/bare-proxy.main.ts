import { readFileSync } from 'node:fs';
import { Agent, createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createProxyServer } from 'http-proxy-3';

// http-proxy-3 as its manual has it, with the one thing added that everybody adds: connections that are kept.
const proxy = createProxyServer({
  target: `http://127.0.0.1:${process.env.BENCH_BACKEND_PORT}`,
  agent: new Agent({ keepAlive: true, scheduling: 'lifo', maxFreeSockets: 256 }),
});
const forward: RequestListener = (request, response) => {
  void proxy.web(request, response, {}, () => response.destroy());
};
const { BENCH_TLS_CERT: cert, BENCH_TLS_KEY: key } = process.env;
const server =
  cert && key
    ? createTlsServer({ cert: readFileSync(cert), key: readFileSync(key) }, forward)
    : createServer(forward);
// As long as the gateway keeps an idle connection, or those that a benchmark leaves idle would be gone too early.
server.keepAliveTimeout = 75_000;
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.once('disconnect', () => process.exit());
