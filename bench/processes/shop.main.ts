import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { RedisStore } from 'connect-redis';
import express from 'express';
import session from 'express-session';
import { createClient } from 'redis';
import { StickshiftStore } from '../../session-agent/express-client/stickshift-store.ts';
import type { ShopSessions } from './shop.ts';

// An app on express-session with a session of about 2 KiB, of which every POST changes a part and which every GET reads.
// Only where the sessions are kept is different from one measurement to the other.

interface Item {
  readonly id: string;
  readonly name: string;
  readonly note: string;
}

declare module 'express-session' {
  interface SessionData {
    bench: { readonly changes: number; readonly items: readonly Item[] };
  }
}

const ITEMS = 20;

const app = express();
app.disable('x-powered-by');
app.disable('etag');
// The health checks of a gateway are no sessions.
app.get('/healthz', (_, response) => void response.end());
app.use(
  session({
    store: await openSessions(JSON.parse(process.env.BENCH_SESSIONS ?? '{"in":"memory"}')),
    secret: 'a secret of the benchmark',
    resave: false,
    saveUninitialized: false,
  }),
);
app.post('/cart', (request, response) => {
  const { changes, items } = request.session.bench ?? {
    changes: 0,
    items: Array.from({ length: ITEMS }, newItem),
  };
  request.session.bench = { changes: changes + 1, items: items.with(changes % ITEMS, newItem()) };
  response.json({ changes: changes + 1 });
});
app.get('/cart', (request, response) => {
  response.json({ changes: request.session.bench?.changes ?? 0 });
});

const server = createServer(app);
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.once('disconnect', () => process.exit());

async function openSessions(sessions: ShopSessions): Promise<session.Store> {
  switch (sessions.in) {
    case 'memory':
      return new session.MemoryStore();
    case 'stickshift': {
      const store = new StickshiftStore({ agent: sessions.agent });
      // It comes up after the app and goes before it; in between, a lost agent shows in failed requests.
      store.on('agentDown', () => undefined);
      return store;
    }
    case 'redis': {
      const client = createClient({ url: sessions.url });
      client.on('error', (error) => process.stderr.write(`redis: ${error}\n`));
      await client.connect();
      return new RedisStore({ client });
    }
  }
}

/** Some 100 bytes of JSON that compress about as well as what is in real sessions. */
function newItem(): Item {
  const id = randomBytes(12).toString('base64url');
  return { id, name: `Item ${id.slice(0, 4)} of the collection`, note: 'delivered in 3 to 5 days' };
}
