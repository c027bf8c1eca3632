import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

/** An HTTP server on loopback for as long as the test runs. Rejects when its `port` is taken; default: any that is free. */
export async function startListening(t: TestContext, listener: RequestListener, port = 0): Promise<URL> {
  const server = createServer(listener).listen(port, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}
