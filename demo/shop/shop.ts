import { createServer, type Server } from 'node:http';
import { fileURLToPath } from 'node:url';
import express, { type NextFunction, type Request, type Response } from 'express';
import session, { type Store } from 'express-session';
import { apiRoutes } from './api.ts';
import { controlRoutes, type DemoControl } from './control-routes.ts';
import { eventStream } from './event-stream.ts';
import { attachWebSocket } from './web-socket.ts';

export interface ShopOptions {
  /** What the shop calls itself in its answers, such as `app-1`. */
  readonly name: string;
  /** Where express-session keeps its sessions. */
  readonly store: Store;
  /** Signs the session cookie; the same on every server of the shop. */
  readonly sessionSecret: string;
  /** The demo's control server; without it the page shows no buttons to kill and drain. */
  readonly control?: DemoControl;
}

export interface Shop {
  readonly server: Server;
  /** Stops accepting, ends event streams and WebSockets, resolves when the last request is answered. */
  close(): Promise<void>;
}

const PAGE = fileURLToPath(new URL('./page', import.meta.url));

/** A shop as many still run: its carts and logins live in the memory of whichever server the client met first. */
export function createShop(options: ShopOptions): Shop {
  const app = express();
  app.disable('x-powered-by');
  app.use((_request, response, next) => {
    response.set('x-shop-server', options.name);
    next();
  });
  app.get('/healthz', (_request, response) => {
    response.json({ ok: true, server: options.name });
  });
  // Before the session: neither the page nor the buttons may create or touch one.
  app.use(pageHeaders, express.static(PAGE));
  app.use('/demo', controlRoutes(options.control));

  const sessions = session({
    store: options.store,
    secret: options.sessionSecret,
    resave: false,
    saveUninitialized: false,
    cookie: { httpOnly: true, sameSite: 'lax', maxAge: 60 * 60 * 1000 },
  });
  const events = eventStream(options.name);
  app.use(sessions);
  app.get('/events', events.handle);
  app.use('/api', apiRoutes(options.name));
  app.use((_request, response) => {
    response.status(404).json({ server: options.name, error: 'There is nothing by that name.' });
  });
  app.use((error: unknown, _request: Request, response: Response, next: NextFunction) => {
    const status = statusOf(error);
    if (status >= 500) process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    // Express's own handler ends a response that has begun.
    if (response.headersSent) return next(error);
    const message = status < 500 && error instanceof Error ? error.message : 'The shop failed.';
    response.status(status).json({ server: options.name, error: message });
  });

  const server = createServer(app);
  const sockets = attachWebSocket(server, options.name, sessions);
  return {
    server,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      events.end();
      sockets.end();
      server.closeIdleConnections();
      await closed;
    },
  };
}

function pageHeaders(_request: Request, response: Response, next: NextFunction): void {
  response.set({
    'cache-control': 'no-cache',
    'content-security-policy': "default-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    'x-content-type-options': 'nosniff',
  });
  next();
}

/** Status of an error from Express's body parser or router; 500 for anything else. */
function statusOf(error: unknown): number {
  const status = error instanceof Error && 'status' in error ? error.status : undefined;
  return typeof status === 'number' && status >= 400 && status < 600 ? status : 500;
}
