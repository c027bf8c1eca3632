import { Lease } from '../leases/lease.ts';

/** What an operator asked for. `maintenance` is `drain` without patience: its sessions move at once. */
export type AdminState = 'ready' | 'drain' | 'maintenance';

/** One app server instance and its agent, as this gateway sees them. Health and the admin API write it; routing reads it. */
export class Backend {
  readonly id: string;
  readonly pool: string;
  /** The app server. */
  readonly url: URL;
  /** The control API of its session agent. */
  readonly agentUrl: URL;
  /** Share of new clients, 0 to 1000. */
  readonly weight: number;

  adminState: AdminState = 'ready';
  /** By active checks of the app server. */
  appUp = false;
  /** Passive ejection: until then (milliseconds since 1970) the backend counts as down. */
  ejectedUntil = 0;
  /** Since when it has been there without a break, milliseconds since 1970. For people: whether a binding is trusted is `lease`'s. */
  upSince = 0;
  /** What may be believed of its bindings without asking. */
  readonly lease = new Lease();
  /** The agent's incarnation as of its last readiness answer. */
  incarnation = '';
  /** Requests, event streams and WebSockets under way. */
  inFlight = 0;
  #agentUp = false;
  #agentGone = new AbortController();

  constructor(options: { id: string; pool: string; url: URL; agentUrl: URL; weight: number }) {
    this.id = options.id;
    this.pool = options.pool;
    this.url = options.url;
    this.agentUrl = options.agentUrl;
    this.weight = options.weight;
  }

  /** By active checks of the agent: it answers, serves this backend, and has reconciled. */
  get agentUp(): boolean {
    return this.#agentUp;
  }

  set agentUp(up: boolean) {
    if (up === this.#agentUp) return;
    this.#agentUp = up;
    if (up) this.#agentGone = new AbortController();
    else this.#agentGone.abort();
  }

  /** Aborted as soon as the agent, which is up now, is taken for down: whoever waits for its answer may wait in vain. */
  get agentGone(): AbortSignal | undefined {
    return this.#agentUp ? this.#agentGone.signal : undefined;
  }

  /** The app server and its agent are both there: sessions bound to it may be served. */
  isUp(now: number): boolean {
    return this.appUp && this.agentUp && now >= this.ejectedUntil;
  }

  /** May be given clients that it does not serve yet. */
  isAccepting(now: number): boolean {
    return this.adminState === 'ready' && this.weight > 0 && this.isUp(now);
  }
}
