import express, { type Express } from 'express';
import session from 'express-session';

declare module 'express-session' {
  interface SessionData {
    basket: string[];
    visitor: string;
  }
}

const HOUR = 3_600_000;

/**
 * A shop of any legacy kind: login with a new session ID, cart, logout.
 *
 * @param pause - what a request to `/slow/…` waits for between reading its session and changing it, one to `/slow-cart` between
 *   reading it and answering, one to `/slow-page` in the middle of its answer, and a login to `/slow-login/…`
 *   between its two session IDs
 */
export function smallShop(
  store: session.Store,
  pause: () => Promise<void> = () => Promise.resolve(),
): Express {
  const app = express();
  // Express prints the errors that tests provoke otherwise.
  app.set('env', 'test');
  app.use(
    session({
      store,
      secret: 'the app’s secret',
      resave: false,
      saveUninitialized: false,
      cookie: { maxAge: HOUR },
    }),
  );
  app.post('/cart/:item', (request, response) => {
    request.session.basket = [...(request.session.basket ?? []), request.params.item];
    response.json(request.session.basket);
  });
  app.post('/slow/:item', async (request, response) => {
    const { basket } = request.session;
    await pause();
    request.session.basket = [...(basket ?? []), request.params.item];
    response.json(request.session.basket);
  });
  app.get('/slow-cart', async (request, response) => {
    const basket = request.session.basket ?? [];
    await pause();
    response.json(basket);
  });
  app.get('/slow-page', async (request, response) => {
    response.write(`${request.session.basket}\n`);
    await pause();
    response.end('that is all\n');
  });
  app.get('/cart', (request, response) => {
    response.json(request.session.basket ?? []);
  });
  app.post('/login/:user', (request, response, next) => {
    const { basket } = request.session;
    request.session.regenerate((error) => {
      if (error) return next(error);
      request.session.visitor = request.params.user;
      if (basket) request.session.basket = basket;
      response.json({ id: request.sessionID });
    });
  });
  app.post('/slow-login/:user', (request, response, next) => {
    const { basket } = request.session;
    request.session.regenerate(async (error) => {
      if (error) return next(error);
      request.session.visitor = request.params.user;
      if (basket) request.session.basket = basket;
      request.session.save();
      await pause();
      response.json({ id: request.sessionID });
    });
  });
  app.post('/logout', (request, response, next) => {
    request.session.destroy((error) => (error ? next(error) : response.json('bye')));
  });
  app.get('/cookie', (request, response) => {
    const { maxAge, originalMaxAge, path, httpOnly } = request.session.cookie;
    response.json({ maxAge, originalMaxAge, path, httpOnly, expires: request.session.cookie.expires });
  });
  app.post('/reload', (request, response, next) => {
    request.session.visitor = 'not saved';
    request.session.reload((error) => (error ? next(error) : response.json(request.session.visitor ?? null)));
  });
  return app;
}

/** A browser with one cookie. */
export class Browser {
  readonly #url: () => string;
  cookie = '';

  constructor(url: () => string, cookie = '') {
    this.#url = url;
    this.cookie = cookie;
  }

  async #fetch(method: string, path: string): Promise<Response> {
    const response = await fetch(this.#url() + path, {
      method,
      headers: this.cookie ? { cookie: this.cookie } : {},
    });
    const set = response.headers.get('set-cookie');
    if (set) this.cookie = set.split(';')[0] ?? '';
    return response;
  }

  async get(path: string): Promise<unknown> {
    return (await this.#fetch('GET', path)).json();
  }

  async post(path: string): Promise<unknown> {
    return (await this.#fetch('POST', path)).json();
  }

  status(path: string): Promise<number> {
    return this.#fetch('GET', path).then(({ status }) => status);
  }

  /** `s:<id>.<signature>` */
  get sessionId(): string {
    return (
      decodeURIComponent(this.cookie.split('=')[1] ?? '')
        .slice(2)
        .split('.')[0] ?? ''
    );
  }
}
