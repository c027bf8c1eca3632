import { type AddressInfo, createServer, type Socket } from 'node:net';

/*
 * App servers as cheap as they can be, all in one process: GET is answered with 100 bytes, GET /bytes/N with N, and a body is
 * counted and thrown away. Each says which one it is. No pipelining, and bodies have a Content-Length.
 */
const PIECE = Buffer.alloc(256 * 1024, 'x');

const names = (process.env.BENCH_APPS ?? 'app-1').split(',');
const ports = await Promise.all(names.map(listen));
process.once('disconnect', () => process.exit());
process.send?.({ ports });

function listen(name: string): Promise<number> {
  const answer = Buffer.from(`${head(name, 100)}${'x'.repeat(100)}`);
  const server = createServer({ noDelay: true }, (socket) => serve(socket, name, answer));
  return new Promise((resolve) => {
    server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
      resolve((server.address() as AddressInfo).port),
    );
  });
}

function serve(socket: Socket, name: string, answer: Buffer): void {
  let text = '';
  let bodyLeft = 0;
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    if (bodyLeft > 0) {
      bodyLeft -= chunk.length;
      if (bodyLeft <= 0) socket.write(answer);
      return;
    }
    if (text === '' && isWholeSmallGet(chunk)) {
      socket.write(answer);
      return;
    }
    text += chunk.toString('latin1');
    const end = text.indexOf('\r\n\r\n');
    if (end < 0) return;
    const request = text.slice(0, end);
    const length = request.startsWith('P') ? Number(/^content-length: (\d+)/im.exec(request)?.[1] ?? 0) : 0;
    bodyLeft = length - (text.length - end - 4);
    text = '';
    if (bodyLeft > 0) return;
    if (request.startsWith('GET /bytes/'))
      void sendBytes(socket, name, Number.parseInt(request.slice(11), 10));
    else socket.write(answer);
  });
}

/** What nearly all requests are is told by a few bytes, without making a string of them: `GET /c…` and an empty line at the end. */
function isWholeSmallGet(chunk: Buffer): boolean {
  return chunk[0] === 0x47 && chunk[5] === 0x63 && chunk.indexOf('\r\n\r\n') === chunk.length - 4;
}

async function sendBytes(socket: Socket, name: string, size: number): Promise<void> {
  socket.write(head(name, size));
  for (let left = size; left > 0 && !socket.destroyed; left -= PIECE.length) {
    if (socket.write(left < PIECE.length ? PIECE.subarray(0, left) : PIECE)) continue;
    await new Promise<void>((resolve) => {
      const go = () => {
        socket.off('drain', go).off('close', go);
        resolve();
      };
      socket.on('drain', go).on('close', go);
    });
  }
}

function head(name: string, length: number): string {
  return `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nServer-Id: ${name}\r\nContent-Length: ${length}\r\n\r\n`;
}
