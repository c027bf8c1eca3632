/** What `stickshift demo` can be told. */
export interface DemoOptions {
  /** Port of the gateway on 127.0.0.1. Default 8080. */
  readonly port?: number;
  /** Port of the gateway's admin API on 127.0.0.1. Default 8081. */
  readonly adminPort?: number;
  /** URL of the store. Default: the environment's `STICKSHIFT_STORE`, else SQLite in the demo's state directory. */
  readonly store?: string;
  /** How many shops, each with its agent. Default 3; the check needs at least 3. */
  readonly backends?: number;
  /** Run unattended: fill carts, kill, drain, verify. */
  readonly check?: boolean;
  /** Print JSON only: one line when the demo is up, or the check's result. */
  readonly json?: boolean;
  /** Leave the state directory (store, configuration, logs) when the demo ends. */
  readonly keepState?: boolean;
}

export const DEFAULT_PORT = 8080;
export const DEFAULT_ADMIN_PORT = 8081;
export const DEFAULT_BACKENDS = 3;
export const MOST_BACKENDS = 9;
