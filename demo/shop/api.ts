import { randomUUID } from 'node:crypto';
import express, { type Request, type Response, type Router } from 'express';
import type { Session, SessionData } from 'express-session';
import { type CartItem, continueJourney, type JourneyStop } from './session-data.ts';

/** What every call of the shop's API answers. */
export interface ShopAnswer {
  /** The server that answers. */
  readonly server: string;
  readonly customer: string | null;
  readonly cart: readonly CartItem[];
  /** Every server this session has lived on, oldest first; empty before there is a session. */
  readonly journey: readonly JourneyStop[];
  /** Where the session was until this very request moved it; null when it was here, or is new. */
  readonly arrivedFrom: string | null;
}

const MOST_ITEMS = 1000;
const LONGEST_NAME = 80;

/** The cart and the login. An answer's `x-shop-session` is `none`, `new`, `local` or `moved`. */
export function apiRoutes(server: string): Router {
  const routes = express.Router();
  routes.use(express.json({ limit: '16kb' }));

  routes.get('/cart', (request, response) => answer(request, response));

  routes.post('/cart/items', (request, response) => {
    const item = readItem(request.body);
    if (!item) return refuse(response, 400, `An item needs a name of 1 to ${LONGEST_NAME} characters.`);
    const cart = request.session.cart ?? [];
    if (cart.length >= MOST_ITEMS) return refuse(response, 409, 'The cart is full.');
    request.session.cart = [...cart, item];
    answer(request, response.status(201));
  });

  routes.delete('/cart/items/:id', (request, response) => {
    const cart = request.session.cart ?? [];
    const rest = cart.filter((item) => item.id !== request.params.id);
    if (rest.length === cart.length) return refuse(response, 404, 'The cart holds no such item.');
    request.session.cart = rest;
    answer(request, response);
  });

  routes.post('/login', (request, response, next) => {
    const customer = readText(request.body?.name);
    if (!customer) return refuse(response, 400, `A name of 1 to ${LONGEST_NAME} characters is needed.`);
    const { cart, journey } = request.session;
    // A new ID at login: an ID that somebody planted beforehand must not become a logged-in one.
    request.session.regenerate((error: unknown) => {
      if (error) return next(error);
      request.session.customer = customer;
      if (cart) request.session.cart = cart;
      if (journey) request.session.journey = journey;
      answer(request, response);
    });
  });

  routes.post('/logout', (request, response, next) => {
    request.session.destroy((error: unknown) => {
      if (error) return next(error);
      response.clearCookie('connect.sid');
      response.set('x-shop-session', 'none');
      response.json({
        server,
        customer: null,
        cart: [],
        journey: [],
        arrivedFrom: null,
      } satisfies ShopAnswer);
    });
  });

  return routes;

  function answer(request: Request, response: Response): void {
    const { session } = request;
    const before = session.journey ?? [];
    const exists = before.length > 0 || holdsSomething(session);
    const journey = exists ? continueJourney(before, server, Date.now()) : before;
    // Assigned only when it grew: an unchanged session is not saved again.
    if (journey !== before) session.journey = [...journey];
    const arrivedFrom = journey === before ? null : (before.at(-1)?.server ?? null);
    response.set('x-shop-session', describeOrigin(exists, before.length > 0, arrivedFrom));
    response.set('cache-control', 'no-store');
    response.json({
      server,
      customer: session.customer ?? null,
      cart: session.cart ?? [],
      journey,
      arrivedFrom,
    } satisfies ShopAnswer);
  }

  function refuse(response: Response, status: number, error: string): void {
    response.status(status).json({ server, error });
  }
}

function holdsSomething(session: Session & Partial<SessionData>): boolean {
  return session.cart !== undefined || session.customer !== undefined;
}

function describeOrigin(exists: boolean, known: boolean, arrivedFrom: string | null): string {
  if (!exists) return 'none';
  if (!known) return 'new';
  return arrivedFrom === null ? 'local' : 'moved';
}

function readItem(body: unknown): CartItem | undefined {
  if (typeof body !== 'object' || body === null) return undefined;
  const name = 'name' in body ? readText(body.name) : undefined;
  if (!name) return undefined;
  if (!('id' in body)) return { id: randomUUID(), name };
  const id = readText(body.id);
  return id ? { id, name } : undefined;
}

function readText(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  const text = value.trim();
  return text.length > 0 && text.length <= LONGEST_NAME ? text : undefined;
}
