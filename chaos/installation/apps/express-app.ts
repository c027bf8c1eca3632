import { randomBytes } from 'node:crypto';
import express, { type NextFunction, type Request, type Response } from 'express';
import session from 'express-session';
import { StickshiftStore } from '../../../session-agent/express-client/stickshift-store.ts';
import type { AppAnswer } from './answer.ts';
import { Turns } from './turns.ts';

/*
 * A list of tokens in a session, as a process:
 *   APP_NAME, APP_PORT, APP_SECRET   what it calls itself, its port of 127.0.0.1, what signs its session cookie
 *   APP_AGENT                        socket of its session agent
 */

declare module 'express-session' {
  interface SessionData {
    generation: string;
    tokens: string[];
  }
}

const { APP_NAME = '', APP_PORT = '', APP_SECRET = '', APP_AGENT = '' } = process.env;

const store = new StickshiftStore({ agent: APP_AGENT });
store.on('agentUp', () => process.stdout.write(`${Date.now()} agent up\n`));
store.on('agentDown', (reason: string) => process.stdout.write(`${Date.now()} agent down: ${reason}\n`));

const app = express();
app.disable('x-powered-by');
app.disable('etag');
app.get('/healthz', (_request, response) => {
  response.send('ok');
});

/*
 * One request of a session at a time. express-session would let two read the same list, and the second to write would
 * undo the first: a loss of the application's own, which would hide those that this run looks for.
 */
const turns = new Turns();
app.use(async (request, response, next) => {
  response.locals.turn = await turns.take(request.headers.cookie ?? '');
  next();
});
app.use(
  session({
    store,
    secret: APP_SECRET,
    resave: false,
    saveUninitialized: false,
    cookie: { httpOnly: true, maxAge: 60 * 60 * 1000 },
  }),
);

app.get('/read', (request, response) => answer(request, response));
app.post('/append', (request, response) => {
  // In the target, not in a body: what has arrived is carried out, even if whoever sent it has gone since.
  const token = String(request.query.token);
  request.session.generation ??= randomBytes(6).toString('hex');
  request.session.tokens = [...(request.session.tokens ?? []), token];
  answer(request, response);
});
app.post('/login', (request, response, next) => {
  const { generation, tokens } = request.session;
  request.session.regenerate((error: unknown) => {
    if (error) return next(error);
    Object.assign(request.session, { generation, tokens });
    answer(request, response);
  });
});
app.post('/logout', (request, response, next) => {
  request.session.destroy((error: unknown) => {
    if (error) return next(error);
    answer(request, response);
  });
});
app.use((error: unknown, _request: Request, response: Response, _next: NextFunction) => {
  response.status(500).json({ error: String(error) });
  endTurn(response);
});

app.listen(Number(APP_PORT), '127.0.0.1');

function answer(request: Request, response: Response): void {
  // After a logout there is no session, whatever the types say.
  const data: Partial<session.SessionData> = request.session ?? {};
  response.json({
    server: APP_NAME,
    generation: data.generation ?? null,
    tokens: data.tokens ?? [],
  } satisfies AppAnswer);
  endTurn(response);
}

/** express-session has given the session to its store when the answer was ended, which was before this. */
function endTurn(response: Response): void {
  const { turn } = response.locals as { turn?: () => void };
  turn?.();
}
