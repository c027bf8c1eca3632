import type { CertificateStatus, WorkersStatus } from '../admin-api/admin-api-types.ts';
import type { Backend } from '../backends/backend.ts';
import type { CounterValues } from '../counters.ts';

/** What has been counted and is under way, all requests together. */
export interface Figures {
  readonly counters: CounterValues;
  /** Values that were no session ID, by pool and reason. */
  readonly oddSessionIds: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** WebSockets that are open. */
  readonly webSockets: number;
  /** Absent where no TLS is spoken. */
  readonly certificates?: readonly CertificateStatus[] | undefined;
  /** Absent where one thread does everything. */
  readonly workers?: WorkersStatus;
}

/**
 * What serves clients, as those see it who watch over backends and talk to operators: in this thread, or in
 * several others. Only the former shares its `Backend` objects; to the latter a change of one has to be
 * told.
 */
export interface DataPlane {
  /** Resolves when requests could be served. */
  prepare(): Promise<void>;
  /**
   * Begins to serve clients; resolves with the address.
   *
   * @throws StickshiftError `PORT_IN_USE`, `CONFIG_INVALID`
   */
  listen(): Promise<string>;
  /** As of now, or of the last {@link refresh}. */
  readonly figures: Figures;
  /**
   * Has `figures`, {@link isLeased} and `inFlight` of each backend be as of now. Whatever was told before
   * has been heard then.
   */
  refresh(): Promise<void>;
  /** Sessions that are bound to the backend are served without a lookup. */
  isLeased(backend: Backend): boolean;
  /** IDs of the sessions with a request under way on the backend. Its `inFlight` is as of now then. */
  inFlightSessions(backend: Backend): Iterable<string> | Promise<Iterable<string>>;
  /** Ends what is under way there: WebSockets with 1012, requests by destroying them. */
  closeConnections(backend: Backend): void;
  /** The operator's state of a backend is another one. */
  stateChanged(backend: Backend): void;
  /**
   * Accepts nobody, lets what is under way finish within `gateway.timeouts.shutdown`, and gives its leases
   * back.
   */
  stop(): Promise<void>;
}
