import type { Request, Response } from 'express';

const HEARTBEAT_MS = 2_000;
const MOST_STREAMS = 1_000;

/**
 * Server-sent events: the server's name at once, then a heartbeat. A page that listens notices within a moment that
 * its server is gone: the stream breaks, and the browser's next attempt is answered by another one.
 */
export function eventStream(server: string): {
  handle(request: Request, response: Response): void;
  end(): void;
} {
  const open = new Set<Response>();
  return {
    handle(_request, response) {
      if (open.size >= MOST_STREAMS) {
        response.status(503).set('retry-after', '5').json({ server, error: 'Too many event streams.' });
        return;
      }
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
      const tell = (event: string) =>
        response.write(`event: ${event}\ndata: ${JSON.stringify({ server, at: Date.now() })}\n\n`);
      response.write('retry: 500\n');
      tell('server');
      const heartbeat = setInterval(() => tell('heartbeat'), HEARTBEAT_MS);
      open.add(response);
      response.on('close', () => {
        clearInterval(heartbeat);
        open.delete(response);
      });
    },
    end() {
      for (const response of open) response.end();
    },
  };
}
