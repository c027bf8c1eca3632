import { type Server, ServerResponse } from 'node:http';
import type { Request, RequestHandler, Response } from 'express';
import { WebSocketServer } from 'ws';

const GOING_AWAY = 1001;

/** `/ws`: answers every message with its echo, the server's name and the size of the session's cart. */
export function attachWebSocket(http: Server, server: string, sessions: RequestHandler): { end(): void } {
  const webSockets = new WebSocketServer({ noServer: true, maxPayload: 16 * 1024 });

  http.on('upgrade', (upgrade, socket, head) => {
    socket.on('error', () => socket.destroy());
    if (upgrade.url?.split('?')[0] !== '/ws') {
      socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    // express-session wants a response to put its cookie on; the session of a WebSocket is only ever read.
    const request = upgrade as Request;
    sessions(request, new ServerResponse(upgrade) as Response, (error?: unknown) => {
      if (error) {
        socket.end('HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
        return;
      }
      webSockets.handleUpgrade(upgrade, socket, head, (webSocket) => {
        webSocket.on('error', () => webSocket.terminate());
        webSocket.on('message', (data) => {
          const reply = () =>
            webSocket.send(
              JSON.stringify({ server, echo: String(data), cartSize: request.session?.cart?.length ?? 0 }),
            );
          // The cart as it is now, not as it was when the connection was made. The reload of a session that is
          // gone or was never saved fails, and leaves none.
          request.session?.reload ? request.session.reload(reply) : reply();
        });
      });
    });
  });

  return {
    end() {
      for (const webSocket of webSockets.clients) webSocket.close(GOING_AWAY);
    },
  };
}
