import { afterEach } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pino from 'pino';
import { sessionKeyDeriver } from '../../protocol/session-key.ts';
import { SessionAgent, type SessionAgentOptions } from '../session-agent.ts';
import { KeyRing } from '../snapshot/key-ring.ts';
import { SnapshotSeal } from '../snapshot/snapshot-seal.ts';
import { MemorySource } from './memory-source.ts';
import { MemoryStore } from './memory-store.ts';

export const keyOf = sessionKeyDeriver(Buffer.alloc(32, 1), 'shop');
export const seal = new SnapshotSeal(new KeyRing([Buffer.alloc(32, 2)]), { maxSession: 1024 * 1024 });

/** Long enough for anything that does happen; a test that needs it fails. */
export const PATIENCE_MS = 10_000;

export interface AgentUnderTest {
  readonly agent: SessionAgent;
  readonly source: MemorySource;
  readonly store: MemoryStore;
  /** Log lines at level warn and above. */
  readonly warnings: { readonly msg: string; readonly reason?: string }[];
  /** What the store would hand to the next owner. */
  stored(id: string): Promise<string | undefined>;
}

export type TestOptions = Partial<Omit<SessionAgentOptions, 'source' | 'store' | 'limits' | 'lifetime'>> & {
  readonly source?: MemorySource;
  readonly store?: MemoryStore;
  readonly limits?: Partial<SessionAgentOptions['limits']>;
  readonly lifetime?: Partial<SessionAgentOptions['lifetime']>;
  /** False: the app is not there yet. */
  readonly attached?: boolean;
  /** False: the store tells the agent nothing yet. */
  readonly listens?: boolean;
};

const running = new Set<SessionAgent>();

// An agent that still has something to retry would keep the test process alive.
afterEach(async () => {
  for (const agent of running) await agent.stop(0);
  running.clear();
});

/** A session agent between an app and a store in memory, ready, with short waits. */
export async function startTestAgent(options: TestOptions = {}): Promise<AgentUnderTest> {
  const {
    source = new MemorySource(),
    store = new MemoryStore(),
    attached = true,
    listens = true,
    limits,
    lifetime,
    ...others
  } = options;
  const warnings: AgentUnderTest['warnings'] = [];
  const agent = new SessionAgent({
    backend: 'app-1',
    source,
    store,
    seal,
    deriveKey: keyOf,
    logger: pino({ level: 'warn' }, { write: (line) => void warnings.push(JSON.parse(line)) }),
    times: { base: 1, cap: 10, hurried: 5 },
    logoutWaitMs: 100,
    leases: { formerLife: false },
    ...others,
    limits: { session: 1024, sessions: 1000, commits: 4, ...limits },
    lifetime: { absolute: undefined, tombstone: 3_600_000, ...lifetime },
  });
  running.add(agent);
  await agent.start();
  // The first look at what may have been taken is over: from here on, the store is asked for what the test does.
  if (listens) await until(() => agent.taken.heardUntil > 0);
  if (attached) {
    agent.attached();
    await until(() => agent.notReady === undefined);
  }
  return {
    agent,
    source,
    store,
    warnings,
    async stored(id) {
      const record = store.records.get(keyOf(id));
      if (!record || record.state === 'ended') return undefined;
      return Buffer.from((await seal.open(keyOf(id), record)).data).toString();
    },
  };
}

/** Waits for a condition. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${condition}`);
    await sleep(1);
  }
}

/** Commits and expects it to work out. */
export async function commitAll(agent: SessionAgent, ...ids: string[]): Promise<void> {
  for (const commit of await agent.commit(ids, PATIENCE_MS)) {
    if (commit.outcome !== 'committed') throw new Error(`not committed: ${JSON.stringify(commit)}`);
  }
}
