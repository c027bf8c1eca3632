import type { Target } from '../processes/target.ts';

export const PROXY_NAMES = [
  'haproxy',
  'nginx',
  'caddy',
  'http-proxy-3',
  'stickshift-full',
  'stickshift-fast',
] as const;
export type ProxyName = (typeof PROXY_NAMES)[number];

/** Files in PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
  /** Both in one file, as HAProxy wants it. */
  readonly both: string;
}

export interface ProxyOptions {
  /** Where it is to listen, on 127.0.0.1. */
  readonly port: number;
  /** For a proxy that has an admin API. */
  readonly adminPort: number;
  /** Of the app servers, by name. */
  readonly servers: readonly { readonly name: string; readonly port: number }[];
  /** Its own, for configuration, logs and whatever else it writes. */
  readonly directory: string;
  /** Given: it serves HTTPS with this certificate, and no HTTP. */
  readonly certificate?: Certificate | undefined;
  /** One line per request, into a file. */
  readonly accessLog: boolean;
  /** Connections that it must be able to have open on either side. */
  readonly connections: number;
}

export interface RunningProxy extends Target {
  readonly version: string;
}

/** Why a proxy is not compared. */
export interface LeftOut {
  readonly leftOut: string;
}

export type StartProxy = (options: ProxyOptions) => Promise<RunningProxy | LeftOut>;

export const notInstalled = (command: string): LeftOut => ({ leftOut: `${command} is not installed` });
