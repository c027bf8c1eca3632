import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { GatewayConfig } from '../../config/schema.ts';
import { asStickshiftError, StickshiftError } from '../../protocol/errors.ts';
import type { Backend } from '../backends/backend.ts';
import type { Pool } from '../backends/pool.ts';
import type { DataPlane, Figures } from '../data-plane/data-plane.ts';
import type { HealthMonitor } from '../health/health-monitor.ts';
import { assertFree } from './assert-free.ts';
import { BackendIndex } from './backend-index.ts';
import { type BackendName, type BackendState, nameOf, type ToWorker } from './messages.ts';
import { ReplacementPause } from './replacement-pause.ts';
import { SummedFigures } from './summed-figures.ts';
import { type WorkerEnd, WorkerLink, type WorkerNews, type WorkerThread } from './worker-link.ts';

/**
 * Beyond `gateway.timeouts.shutdown`, for what no client waits for; less than whoever stops the gateway
 * allows.
 */
const STOP_MARGIN_MS = 3_000;

export interface WorkersOptions {
  /** How many. */
  readonly count: number;
  readonly settings: GatewayConfig;
  readonly pools: readonly Pool[];
  readonly health: HealthMonitor;
  readonly logger: Logger;
  /** Starts the thread of worker `number`, which counts from 1; it runs `serveAsWorker`. */
  readonly startWorker: (number: number) => WorkerThread;
}

/**
 * Has several threads serve clients at one port, tells them how backends are, and replaces those that die.
 */
export class Workers implements DataPlane {
  readonly #options: WorkersOptions;
  readonly #index: BackendIndex;
  readonly #links = new Map<number, WorkerLink>();
  readonly #pauses = new Map<number, ReplacementPause>();
  readonly #summed = new SummedFigures();
  readonly #stopping = new AbortController();
  readonly #ticketKeys = randomBytes(48);
  /** What workers were told of each backend last. */
  readonly #told = new Map<Backend, string>();
  #address: string;
  #lost = 0;

  constructor(options: WorkersOptions) {
    this.#options = options;
    this.#address = options.settings.listen;
    this.#index = new BackendIndex(options.pools);
    for (const backend of this.#index.all) {
      // No leases are held here; those that are, have to hear of it.
      backend.lease.onDistrust = () => this.#announce(backend, true);
    }
    options.health.onChange((backend) => this.#announce(backend));
  }

  async prepare(): Promise<void> {
    // They load their program while backends are checked, and begin when it is known how those are.
    for (let number = 1; number <= this.#options.count; number++) this.#start(number);
  }

  async listen(): Promise<string> {
    await assertFree(this.#address);
    const [first, ...others] = this.#links.values();
    if (!first) throw new StickshiftError('INTERNAL', 'no worker has been started');
    // The first one finds out which port it is, and whether store and certificates are good.
    this.#address = await this.#begin(first);
    await Promise.all(others.map((link) => this.#begin(link)));
    for (const link of [first, ...others]) this.#watch(link);
    return this.#address;
  }

  get figures(): Figures {
    const serving = this.#serving;
    return {
      ...this.#summed.with(serving.flatMap(({ lastReport }) => lastReport ?? [])),
      workers: { configured: this.#options.count, running: serving.length, lost: this.#lost },
    };
  }

  async refresh(): Promise<void> {
    await this.#ask();
  }

  isLeased(backend: Backend): boolean {
    const serving = this.#serving;
    return serving.length > 0 && serving.every((link) => reportOn(link, backend)?.isLeased ?? false);
  }

  inFlightSessions(backend: Backend): Promise<Iterable<string>> {
    return this.#ask(nameOf(backend));
  }

  closeConnections(backend: Backend): void {
    this.#tellAll({ type: 'close-connections', backend: nameOf(backend) });
  }

  stateChanged(backend: Backend): void {
    this.#announce(backend);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    const withinMs = this.#options.settings.timeouts.shutdown + STOP_MARGIN_MS;
    await Promise.all([...this.#links.values()].map((link) => link.stop(withinMs)));
  }

  get #serving(): WorkerLink[] {
    return [...this.#links.values()].filter(({ isServing }) => isServing);
  }

  #start(number: number): WorkerLink {
    const hear = (news: WorkerNews, from: WorkerLink) => this.#hear(news, from);
    const link = new WorkerLink(number, this.#options.startWorker(number), hear);
    this.#links.set(number, link);
    return link;
  }

  /** Has it serve clients; resolves with the address. */
  #begin(link: WorkerLink): Promise<string> {
    const { settings, count } = this.#options;
    link.tell({
      type: 'begin',
      listen: this.#address,
      connections: Math.ceil(settings.limits.connections / count),
      ticketKeys: this.#ticketKeys,
      backends: this.#index.all.map((backend) => ({
        backend: nameOf(backend),
        state: this.#stateOf(backend),
      })),
    });
    return link.listening;
  }

  #watch(link: WorkerLink): void {
    void link.ended.then((end) => {
      if (!this.#stopping.signal.aborted) void this.#replace(link, end);
    });
  }

  /** Its clients' connections are gone with it; what comes meanwhile is for the others. */
  async #replace(link: WorkerLink, end: WorkerEnd): Promise<void> {
    const { logger } = this.#options;
    const { number: worker } = link;
    this.#lost += 1;
    this.#summed.bury(link.lastReport);
    this.#links.delete(worker);
    const pauses = this.#pauses.get(worker) ?? new ReplacementPause();
    this.#pauses.set(worker, pauses);
    const pauseMs = pauses.after(end.servedMs);
    logger.error({ worker, err: end.error, exitCode: end.exitCode, pauseMs }, 'a worker has died');
    await delay(pauseMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
    if (this.#stopping.signal.aborted) return;
    const next = this.#start(worker);
    this.#watch(next);
    try {
      await this.#begin(next);
      logger.info({ worker }, 'the worker was replaced');
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      const failure = asStickshiftError(error);
      logger.error({ worker, err: failure, code: failure.code }, 'the worker could not be replaced');
    }
  }

  #hear(news: WorkerNews, from: WorkerLink): void {
    const { health } = this.#options;
    const backend = this.#index.find(news.backend);
    switch (news.type) {
      case 'connect-failed':
        health.connectFailed(backend, new Error(news.reason));
        break;
      case 'backend-reset':
        health.backendReset(backend);
        break;
      case 'succeeded':
        health.succeeded(backend);
        break;
      case 'agent-answered':
        health.agentAnswered(backend, news.incarnation);
        break;
      case 'agent-failed':
        health.agentFailed(backend);
        break;
      case 'probe-app':
        void this.#probe(backend, news.number, from);
        break;
    }
    // Health calls nobody back when it only begins, or ceases, to hold something against a backend.
    this.#announce(backend);
  }

  async #probe(backend: Backend, number: number, from: WorkerLink): Promise<void> {
    let isAlive = false;
    try {
      isAlive = await this.#options.health.probeApp(backend);
    } catch (error) {
      this.#options.logger.error({ err: error, backend: backend.id }, 'an app server could not be probed');
    }
    from.tell({ type: 'app-probed', number, isAlive });
  }

  #announce(backend: Backend, distrust = false): void {
    const state = this.#stateOf(backend);
    const text = JSON.stringify(state);
    if (!distrust && this.#told.get(backend) === text) return;
    this.#told.set(backend, text);
    this.#tellAll({ type: 'backend', backend: nameOf(backend), state, distrust });
  }

  #stateOf(backend: Backend): BackendState {
    const { appUp, agentUp, ejectedUntil, upSince, incarnation, adminState } = backend;
    const isClean = this.#options.health.isClean(backend);
    return { appUp, agentUp, ejectedUntil, upSince, incarnation, adminState, isClean };
  }

  #tellAll(message: ToWorker): void {
    for (const link of this.#links.values()) link.tell(message);
  }

  /** Takes in what all workers report; returns the sessions that were asked for. */
  async #ask(sessionsOn?: BackendName): Promise<string[]> {
    const asked = this.#serving;
    const answers = await Promise.all(asked.map((link) => link.report(sessionsOn)));
    const isLate = asked.some((link, i) => answers[i] === undefined && link.isServing);
    for (const backend of this.#index.all) {
      const known = this.#serving.reduce((sum, link) => sum + (reportOn(link, backend)?.inFlight ?? 0), 0);
      // One that does not answer may have begun something anywhere: no drain is over before it does.
      backend.inFlight = isLate ? Math.max(1, known) : known;
    }
    return answers.flatMap((answer) => answer?.sessionsOn ?? []);
  }
}

function reportOn({ lastReport }: WorkerLink, { pool, id }: Backend) {
  return lastReport?.backends.find(({ backend }) => backend.pool === pool && backend.id === id);
}
