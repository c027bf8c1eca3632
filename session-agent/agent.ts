import { randomUUID } from 'node:crypto';
import type { RequestListener } from 'node:http';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { AgentConfig } from '../config/schema.ts';
import { listen } from '../json-api/listen.ts';
import type { AgentReadiness } from '../protocol/agent-api.ts';
import { deriveSecrets, keyFromText } from '../protocol/secrets.ts';
import { sessionKeyDeriver } from '../protocol/session-key.ts';
import type { SnapshotStore } from '../store/snapshot-store.ts';
import { observeAgent } from './agent-metrics.ts';
import { agentStatus } from './agent-status.ts';
import { Announcer } from './announcer.ts';
import { createControlApi } from './control-api/control-api.ts';
import { tracedOperations } from './control-api/operations.ts';
import { Journal } from './journal/journal.ts';
import type { LeasesOptions } from './leases/leases.ts';
import { SessionAgent } from './session-agent.ts';
import { KeyRing } from './snapshot/key-ring.ts';
import { SnapshotSeal } from './snapshot/snapshot-seal.ts';
import type { SessionSource } from './sources/session-source.ts';

/** How long a stopping agent tries to save what is dirty, milliseconds. */
const STOP_MS = 10_000;
/** The session key of this, which no session has for an ID, tells journals of other applications and secrets apart. */
const JOURNAL_REALM = '\0journal';
/** Sessions given up per round when a stop releases them all. */
const RELEASE_ROUND = 1_000;
/** Until the next round, after one that got nowhere, milliseconds. */
const RELEASE_PAUSE_MS = 100;

export interface AgentOptions {
  readonly config: AgentConfig;
  /** Name of the agent in the configuration, and of its backend unless `config.backend` says otherwise. */
  readonly name: string;
  /** The installation's secret. */
  readonly secret: string;
  /** `store.encryption.keys`: the first seals, all open. Default: a key derived from `secret`. */
  readonly encryptionKeys?: readonly string[];
  /** Stays open when the agent stops: whoever opened it closes it. */
  readonly store: SnapshotStore;
  /** Not started yet. */
  readonly source: SessionSource;
  readonly logger: Logger;
  /** Name of the application in session keys. */
  readonly application: string;
  /** URL of the app server. Without it the backend is not announced in the store. */
  readonly backendUrl?: string;
  /** URL at which gateways reach the control API. Default: `http://` and the address it listens on. */
  readonly agentUrl?: string;
  /** Answers `GET /metrics` on the control API. */
  readonly metricsHandler?: RequestListener;
  readonly leases?: LeasesOptions;
  /** How long this process must have been held up to have heard nothing meanwhile, milliseconds. Default: 1 s. */
  readonly standstillMs?: number;
}

export interface RunningAgent {
  /** `host:port` of the control API. */
  readonly address: string;
  /**
   * Saves what is dirty (10 s at most) and ends. Stays the owner, so that the app finds its sessions here when it comes
   * back; with `release` it gives up every session that it can first.
   */
  stop(options?: { readonly release?: boolean }): Promise<void>;
}

/** Starts a session agent. Rejects with `PORT_IN_USE`, or with what the source could not do. */
export async function startAgent(options: AgentOptions): Promise<RunningAgent> {
  const { config, name, store, source, logger, application } = options;
  const backend = config.backend ?? name;
  const incarnation = randomUUID();
  const secrets = deriveSecrets(options.secret);
  const deriveKey = sessionKeyDeriver(secrets.sessionKey, application);
  const seal = new SnapshotSeal(keyRing(options.encryptionKeys, secrets.snapshot), {
    maxSession: config.limits.session,
  });
  const { limits, lifetime } = config;
  const { journal, tombstones } = await Journal.open({
    directory: config.journal.directory ?? join('.stickshift', 'journal', name),
    size: config.journal.size,
    owner: { backend, realm: deriveKey(JOURNAL_REALM) },
    logger,
  });
  let announcer: Announcer | undefined;
  const barred = () => announcer?.barred;
  const agent = new SessionAgent({
    ...{ backend, source, store, seal, deriveKey, logger, limits, lifetime, journal, tombstones, barred },
    ...(options.leases && { leases: options.leases }),
    ...(options.standstillMs && { standstillMs: options.standstillMs }),
  });

  const readiness = (): AgentReadiness => {
    const reason = agent.notReady;
    const ready = reason === undefined;
    return { backend, application, incarnation, ready, ...(!ready && { reason }) };
  };
  const server = createControlApi({
    token: secrets.agentToken,
    operations: tracedOperations(agent, { backend, incarnation }, deriveKey),
    lease: async (request) => ({ incarnation, ...(await agent.leases.call(request)) }),
    readiness,
    status: () => agentStatus(agent, journal, { readiness: readiness(), source }),
    logger,
    ...(options.metricsHandler && { metricsHandler: options.metricsHandler }),
  });
  let address: string;
  try {
    address = await listen(server, config.listen, `agents.${name}.listen`);
    const { backendUrl: url, agentUrl = `http://${address}` } = options;
    if (url !== undefined) {
      const announcement = { id: backend, application, url, agent: agentUrl, incarnation };
      const describe = () => ({
        ...announcement,
        ready: agent.notReady === undefined,
        sessions: agent.owned.size,
      });
      announcer = new Announcer(store, describe, logger);
    }
    // First of all: an agent whose backend is another one's must not take anything over.
    await announcer?.start();
    await agent.start();
  } catch (error) {
    announcer?.stop();
    server.close();
    await journal.close();
    throw error;
  }
  const unobserve = observeAgent(agent, journal);
  logger.info({ backend, address, source: source.kind }, 'session agent started');

  return {
    address,
    async stop({ release = false } = {}) {
      announcer?.stop();
      if (release) {
        // Before the control API closes: gateways have to agree.
        await releaseAll(agent).catch((error: unknown) => {
          logger.warn({ err: error }, 'stopping as the owner of what could not be released');
        });
      }
      server.close();
      const unsaved = await agent.stop(STOP_MS);
      await announcer?.withdraw();
      await journal.close();
      server.closeAllConnections();
      unobserve();
      if (unsaved > 0) logger.error({ unsaved }, 'stopped with changes that could not be saved');
      else logger.info('session agent stopped');
    },
  };
}

/** Until nothing is left that can be released, or time is up: gateways may have requests under way. */
async function releaseAll(agent: SessionAgent): Promise<void> {
  const nothing = new Set<string>();
  const until = performance.now() + STOP_MS;
  while (agent.store === 'ok' && performance.now() < until) {
    const { released, remaining, unprotected } = await agent.releaseIdle(nothing, RELEASE_ROUND);
    if (remaining <= unprotected) return;
    if (released === 0) await pause(RELEASE_PAUSE_MS);
  }
}

function keyRing(texts: readonly string[] | undefined, fallback: Uint8Array): KeyRing {
  const [first, ...others] = (texts ?? []).map((text) => keyFromText(text, 'snapshot'));
  return new KeyRing(first ? [first, ...others] : [fallback]);
}
