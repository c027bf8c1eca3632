import { startModule } from './child-process.ts';
import { asTarget, type Target } from './target.ts';

/** Where the shop keeps its sessions, and what its session store needs to know. */
export type ShopSessions =
  | { readonly in: 'memory' }
  /** With its agent beside it, at this Unix socket. */
  | { readonly in: 'stickshift'; readonly agent: string }
  /** connect-redis. */
  | { readonly in: 'redis'; readonly url: string };

/** The same Express app with one session store or another: `shop.main.ts`. */
export async function startShop(sessions: ShopSessions): Promise<Target> {
  const { child, message } = await startModule('shop.main.ts', { BENCH_SESSIONS: JSON.stringify(sessions) });
  return asTarget('app', child, (message as { port: number }).port);
}
