import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import type { Config } from '../../config/schema.ts';
import { listen } from '../../json-api/listen.ts';
import type { SnapshotStore } from '../../store/snapshot-store.ts';
import type { AgentClient } from '../agent-client/agent-client.ts';
import type { Backend } from '../backends/backend.ts';
import type { Pool } from '../backends/pool.ts';
import { type ClientServer, closeServer, createClientServer, openConnections } from '../client-server.ts';
import { GatewayCounters } from '../counters.ts';
import { AnswerRules } from '../delivery/answer-rules.ts';
import { Deliveries } from '../delivery/deliveries.ts';
import { createFastLane } from '../fast-lane/create-fast-lane.ts';
import type { FastLane } from '../fast-lane/fast-lane.ts';
import { createRequestHeaders } from '../forwarding/request-headers.ts';
import { createTrustedProxies } from '../forwarding/trusted-proxies.ts';
import { AnswerRelay } from '../full-lane/answer-relay.ts';
import { AttemptSender } from '../full-lane/attempt.ts';
import { BackendConnections } from '../full-lane/backend-connections.ts';
import { FullLane } from '../full-lane/full-lane.ts';
import type { BackendReports } from '../health/backend-reports.ts';
import { Acknowledgements } from '../hold/acknowledgements.ts';
import { Committer } from '../hold/committer.ts';
import { AnswerCheck } from '../leases/answer-check.ts';
import { createLeases, type Leases } from '../leases/leases.ts';
import { Mover } from '../moves/mover.ts';
import { Destinations } from '../routing/destinations.ts';
import { PoolMatcher } from '../routing/pool-matcher.ts';
import { Router } from '../routing/router.ts';
import { InFlightSessions } from '../sessions/in-flight-sessions.ts';
import { KnownBindings } from '../sessions/known-bindings.ts';
import { Certificates } from '../tls/certificates.ts';
import { WebSocketTunnels } from '../websocket/tunnels.ts';
import { UpgradeHandler } from '../websocket/upgrade-handler.ts';
import type { DataPlane, Figures } from './data-plane.ts';
import { affinityCookieName, poolRoutings } from './pool-routings.ts';

export interface LocalDataPlaneOptions {
  readonly config: Config;
  readonly pools: readonly Pool[];
  readonly health: BackendReports;
  /** Closed by whoever made it. */
  readonly agentClient: AgentClient;
  readonly store: SnapshotStore;
  readonly logger: Logger;
  /** Where several threads serve clients at one port. */
  readonly shared?: {
    /** 48 bytes, the same in all threads. */
    readonly ticketKeys: Buffer;
  };
}

/** Serves clients in this thread. */
export class LocalDataPlane implements DataPlane {
  readonly #options: LocalDataPlaneOptions;
  readonly #certificates: Certificates | undefined;
  readonly #routings: ReturnType<typeof poolRoutings>;
  readonly #counters = new GatewayCounters();
  readonly #inFlight = new InFlightSessions();
  readonly #connections = new BackendConnections();
  readonly #leases: Leases;
  readonly #deliveries: Deliveries;
  readonly #tunnels: WebSocketTunnels;
  readonly #front: ClientServer;
  readonly #clients: ReadonlySet<Socket>;
  readonly #fastLane: FastLane | undefined;

  /**
   * Not listening yet. Files that are no certificates end the start here, before anybody is asked anything.
   *
   * @throws StickshiftError `CONFIG_INVALID`
   */
  static async create(options: LocalDataPlaneOptions): Promise<LocalDataPlane> {
    const { tls } = options.config.gateway;
    const certificates = tls && (await Certificates.load({ tls, logger: options.logger }));
    return new LocalDataPlane(options, certificates);
  }

  private constructor(options: LocalDataPlaneOptions, certificates: Certificates | undefined) {
    this.#options = options;
    this.#certificates = certificates;
    const { config, pools, health, agentClient, store, logger, shared } = options;
    const settings = config.gateway;
    const counters = this.#counters;
    const inFlight = this.#inFlight;
    const known = new KnownBindings();
    const acknowledged = new Acknowledgements();
    const routings = poolRoutings(config, pools);
    this.#routings = routings;
    const patienceMs = settings.timeouts.move / 2;
    this.#leases = createLeases({ pools, agentClient, health, inFlight, logger, patienceMs });
    const check = new AnswerCheck({ store, agentClient, known, counters, logger });
    const router = new Router({ matcher: new PoolMatcher(pools), routings, known, counters, logger });
    const mover = new Mover({
      ...{ store, agentClient, health, routings, known, acknowledged, inFlight, counters, logger },
      moveTimeoutMs: settings.timeouts.move,
    });
    const destinations = new Destinations({ router, mover });
    const headers = createRequestHeaders({
      trustedProxies: createTrustedProxies(settings.trustedProxies),
      affinityCookies: pools.map((pool) => affinityCookieName(settings.affinity.cookie, pool, pools)),
    });
    const { accessLog } = settings;
    const deliveries = new Deliveries({
      ...{ router, destinations, health, known, inFlight, counters, logger, accessLog },
    });
    this.#deliveries = deliveries;
    const rules = new AnswerRules({
      committer: new Committer({
        ...{ agentClient, health, known, acknowledged, counters, logger },
        holdTimeoutMs: settings.timeouts.hold,
      }),
      check,
      known,
      logger,
    });
    const lane = new FullLane({
      deliveries,
      sender: new AttemptSender({ connections: this.#connections, timeouts: settings.timeouts }),
      relay: new AnswerRelay({
        rules,
        counters,
        spoolLimit: settings.limits.spool,
        idleTimeoutMs: settings.timeouts.idle,
      }),
      headers,
      counters,
      bodyTimeoutMs: settings.timeouts.body,
      measuredBodyLimit: settings.limits.spool,
    });
    const tunnels = new WebSocketTunnels({
      connectTimeoutMs: settings.timeouts.connect,
      handshakeTimeoutMs: settings.timeouts.firstByte,
    });
    this.#tunnels = tunnels;
    const upgrades = new UpgradeHandler({
      ...{ router, destinations, check, tunnels, headers, health, counters, logger },
    });
    this.#front = createClientServer(settings, {
      ...{ lane, upgrades, certificates, logger, counters },
      ticketKeys: shared?.ticketKeys,
    });
    this.#fastLane = settings.fastLane
      ? createFastLane(this.#front, { settings, pools, deliveries, rules, headers, counters, logger })
      : undefined;
    this.#clients = openConnections(this.#front.server);
  }

  /** Resolves when every agent has been asked for a lease once. */
  prepare(): Promise<void> {
    return this.#leases.start();
  }

  listen(): Promise<string> {
    const { config, shared } = this.#options;
    const reusePort = shared !== undefined;
    return listen(this.#front.server, config.gateway.listen, 'gateway.listen', { reusePort });
  }

  get figures(): Figures {
    const routings = [...this.#routings.values()];
    return {
      counters: this.#counters,
      oddSessionIds: Object.fromEntries(
        routings.map(({ pool, sessionIds }) => [pool.name, sessionIds.counts]),
      ),
      webSockets: this.#tunnels.count,
      certificates: this.#certificates?.status,
    };
  }

  async refresh(): Promise<void> {
    // Whoever asks reads what is counted itself.
  }

  isLeased(backend: Backend): boolean {
    return backend.lease.holds();
  }

  inFlightSessions(backend: Backend): Iterable<string> {
    return this.#inFlight.on(backend);
  }

  closeConnections(backend: Backend): void {
    this.#tunnels.closeTo(backend);
    this.#deliveries.closeTo(backend);
  }

  stateChanged(): void {
    // It is read from the backend at each request.
  }

  async stop(): Promise<void> {
    const { server, http2 } = this.#front;
    await closeServer(server, this.#clients, this.#options.config.gateway.timeouts.shutdown, () => {
      http2?.close();
      this.#tunnels.closeAll();
      this.#deliveries.stop();
      this.#fastLane?.stop();
    });
    await this.#leases.stop();
    this.#connections.close();
    this.#fastLane?.close();
    this.#certificates?.close();
  }
}
