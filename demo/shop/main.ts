import { MemoryStore, type Store } from 'express-session';
import { StickshiftStore } from '../../session-agent/express-client/stickshift-store.ts';
import { createShop } from './shop.ts';

/*
 * One server of the shop, told by its environment:
 *   SHOP_NAME             what it calls itself
 *   SHOP_LISTEN           host:port
 *   SHOP_SESSION_SECRET   signs the session cookie
 *   SHOP_AGENT            socket path or host:port of its session agent; without it sessions die with the process
 *   SHOP_AGENT_TOKEN      the agent token, when the agent is reached over TCP
 *   SHOP_CONTROL_URL, SHOP_CONTROL_TOKEN   the demo's control server
 */
const { env } = process;

function required(name: string): string {
  const value = env[name];
  if (value) return value;
  process.stderr.write(`The shop needs ${name} in its environment.\n`);
  process.exit(2);
}

function sessionStore(): Store {
  if (!env.SHOP_AGENT) return new MemoryStore();
  // The one line that a shop changes.
  return new StickshiftStore({
    agent: env.SHOP_AGENT,
    ...(env.SHOP_AGENT_TOKEN ? { token: env.SHOP_AGENT_TOKEN } : {}),
  });
}

const name = required('SHOP_NAME');
const listen = required('SHOP_LISTEN');
const shop = createShop({
  name,
  store: sessionStore(),
  sessionSecret: required('SHOP_SESSION_SECRET'),
  ...(env.SHOP_CONTROL_URL && env.SHOP_CONTROL_TOKEN
    ? { control: { url: env.SHOP_CONTROL_URL, token: env.SHOP_CONTROL_TOKEN } }
    : {}),
});

const colon = listen.lastIndexOf(':');
shop.server.listen(Number(listen.slice(colon + 1)), listen.slice(0, colon), () => {
  process.stdout.write(`${name} listens on ${listen}\n`);
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  // The store's connection to the agent would keep the process alive.
  process.once(signal, () => void shop.close().then(() => process.exit(0)));
}
