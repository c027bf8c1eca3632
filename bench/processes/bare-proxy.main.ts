import { Agent, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createProxyServer } from 'http-proxy-3';

// http-proxy-3 as its manual has it, with the one thing added that everybody adds: connections that are kept.
const proxy = createProxyServer({
  target: `http://127.0.0.1:${process.env.BENCH_BACKEND_PORT}`,
  agent: new Agent({ keepAlive: true, scheduling: 'lifo', maxFreeSockets: 256 }),
});
const server = createServer((request, response) => {
  void proxy.web(request, response, {}, () => response.destroy());
});
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.once('disconnect', () => process.exit());
