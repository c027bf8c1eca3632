import { once } from 'node:events';
import type { TestContext } from 'node:test';
import type { AppToAgent } from '../../session-agent/express-client/app-link.ts';
import {
  StickshiftStore,
  type StickshiftStoreOptions,
} from '../../session-agent/express-client/stickshift-store.ts';
import { agreeable, ScriptedAgent } from './scripted-agent.ts';

export const HOUR = 3_600_000;
/** A session as express-session has it. */
export const cart = (item: string) => ({ cookie: { originalMaxAge: HOUR }, item });
export const itemOf = (session: unknown) => (session as { item?: string } | null)?.item;
/** The error of a store that cannot ask its agent. */
export const isUnavailable = { code: 'UNAVAILABLE', status: 503 };

export interface StoreAndAgent {
  readonly agent: ScriptedAgent;
  readonly store: StickshiftStore;
}

/** An app's store and its agent, which listens unless the test wants otherwise. */
export async function storeAndAgent(
  t: TestContext,
  options: Partial<StickshiftStoreOptions> & { away?: boolean } = {},
): Promise<StoreAndAgent> {
  const { away, ...storeOptions } = options;
  const agent = await ScriptedAgent.make();
  if (!away) await agent.listen();
  const store = new StickshiftStore({ agent: agent.path, timeout: 10_000, ...storeOptions });
  store.on('agentDown', () => undefined);
  t.after(async () => {
    store.close();
    await agent[Symbol.asyncDispose]();
  });
  if (!away) await once(store, 'agentUp');
  return { agent, store };
}

/** Answers `load` with the sessions given, and the rest as usual. */
export const holding = (sessions: Record<string, object>) => (message: AppToAgent) => {
  if (message.t !== 'load') return agreeable(message);
  const session = sessions[message.id];
  const data = session ? JSON.stringify(session) : null;
  return { t: 'session', n: message.n, data, idleAt: session ? Date.now() + HOUR : 0 } as const;
};
