import express, { type Router } from 'express';

/** Where the demo's control server is, and what it wants to hear. */
export interface DemoControl {
  readonly url: string;
  readonly token: string;
}

/** A server that is to be killed lives on for this long, so that the click that killed it still gets its answer. */
const KILL_DELAY_MS = 400;

const ACTIONS = ['kill', 'restart', 'drain', 'ready'];

/**
 * The buttons of the page, passed on to the control server: `GET /backends`, `POST /backends/:id/:action`. A real
 * shop has nothing like it.
 */
export function controlRoutes(control: DemoControl | undefined): Router {
  const routes = express.Router();
  if (!control) return routes;

  routes.get('/backends', async (_request, response) => {
    const answer = await fetch(new URL('/backends', control.url), {
      headers: { authorization: `Bearer ${control.token}` },
    });
    response.status(answer.status).json(await answer.json());
  });

  routes.post('/backends/:id/:action', async (request, response, next) => {
    const { id, action } = request.params;
    if (!ACTIONS.includes(action)) return next();
    // Another site cannot send this type without asking first, and is then refused.
    if (!request.is('application/json')) {
      response.status(415).json({ error: 'Send application/json.' });
      return;
    }
    const answer = await fetch(new URL(`/backends/${encodeURIComponent(id)}/${action}`, control.url), {
      method: 'POST',
      headers: { authorization: `Bearer ${control.token}`, 'content-type': 'application/json' },
      body: JSON.stringify(action === 'kill' ? { afterMs: KILL_DELAY_MS } : {}),
    });
    response.status(answer.status).json(await answer.json());
  });

  return routes;
}
