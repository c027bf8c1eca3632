import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { StickshiftStore } from '../../session-agent/express-client/stickshift-store.ts';
import { createExpressSource } from '../../session-agent/sources/express/express-source.ts';
import { sessionSourceContract } from './session-source.ts';

const LIFETIME = 3_600_000;
const logger = pino({ level: 'silent' });

sessionSourceContract('express', { skip: false }, async () => {
  const directory = await mkdtemp(join(tmpdir(), 'stickshift-express-'));
  const listen = join(directory, 'agent.sock');
  const source = createExpressSource({ listen, token: 'agent-token', backend: 'app-1', logger });
  const store = new StickshiftStore({ agent: listen, ttl: LIFETIME }).on('agentDown', () => undefined);
  const session = (data: Uint8Array) => JSON.parse(Buffer.from(data).toString()) as object;
  return {
    source,
    app: {
      lifetime: LIFETIME,
      newId: () => randomUUID(),
      content: (text) => Buffer.from(JSON.stringify({ cookie: { originalMaxAge: LIFETIME }, text })),
      write: (id, data) => store.set(id, session(data)),
      touch: (id) => store.touch(id, { cookie: { originalMaxAge: LIFETIME } }),
      read: async (id) => {
        const found = (await store.all())[id];
        return found && Buffer.from(JSON.stringify(found));
      },
      logOut: (id) => store.destroy(id),
      changeId: async (id, successor, data) => {
        store.generate = (request) => {
          request.sessionID = successor;
        };
        await new Promise((resolve) => store.regenerate({ sessionID: id }, resolve));
        await store.set(successor, session(data));
      },
      saysWhy: true,
    },
    close: async () => {
      store.close();
      await source.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
});
