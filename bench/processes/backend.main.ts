import { type AddressInfo, createServer } from 'node:net';

// The cheapest app server there is, so that the proxy in front of it is what a measurement shows: it looks for the
// empty line that ends a request without a body, and answers with 100 bytes.
const ANSWER = Buffer.from(
  `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n${'x'.repeat(100)}`,
);

const server = createServer({ noDelay: true }, (socket) => {
  let tail = '';
  socket.on('data', (chunk: Buffer) => {
    const text = tail + chunk.toString('latin1');
    const requests = text.split('\r\n\r\n');
    tail = requests.pop() ?? '';
    for (const _ of requests) socket.write(ANSWER);
  });
  socket.on('error', () => socket.destroy());
});
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.once('disconnect', () => process.exit());
