/**
 * The app link: how the `express` source and the session store inside the app talk. One JSON object per line (UTF-8,
 * `\n`), over a Unix socket or TCP; the app connects, the agent listens. `n` pairs an answer with its question; each
 * side counts its own, from 1. Described for implementers in `docs/app-link.md`.
 */
export const APP_LINK_VERSION = 1;

/** A line longer than this ends the connection, bytes. Sessions beyond the agent's size limit must still fit. */
export const APP_LINK_MAX_LINE = 64 * 1024 * 1024;

export type AppToAgent =
  /** First line. `version` is the newest that the app speaks; `token` is the agent token, needed over TCP. */
  | { readonly t: 'hello'; readonly version: number; readonly token?: string }
  /** After `welcome`: what the app holds, in as many lines as it likes; the last has `last: true`. */
  | { readonly t: 'have'; readonly ids: readonly string[]; readonly last: boolean }
  /** The session's new bytes. Answered when the agent has taken note, not when it is committed. */
  | {
      readonly t: 'set';
      readonly n: number;
      readonly id: string;
      readonly data: string;
      readonly idleAt: number;
    }
  | { readonly t: 'touch'; readonly id: string; readonly idleAt: number }
  /** Sessions that the app dropped because their idle deadline had passed. */
  | { readonly t: 'expired'; readonly ids: readonly string[] }
  /** Logout. Answered when the tombstone stands. */
  | { readonly t: 'destroy'; readonly n: number; readonly id: string }
  /**
   * The app gave a session another ID, as at a login, and uses `id` no more. It is retired in one step with the commit of the
   * first bytes of `successor`, and no response acknowledges either before. Answered when nothing is under way any more; the
   * app need not wait for that. Until then it is to be said again after a reconnect, before `have`.
   */
  | { readonly t: 'replace'; readonly n: number; readonly id: string; readonly successor: string }
  /** The app was asked for a session that it does not hold. Answered with `session`. */
  | { readonly t: 'load'; readonly n: number; readonly id: string }
  | LinkAnswer;

export type AgentToApp =
  /** The agent takes the app; `version` is the one that both speak from here on. */
  | { readonly t: 'welcome'; readonly version: number; readonly backend: string }
  /** Answered with `session`. */
  | { readonly t: 'capture'; readonly n: number; readonly id: string }
  | {
      readonly t: 'install';
      readonly n: number;
      readonly id: string;
      readonly data: string;
      readonly idleAt: number;
    }
  | { readonly t: 'forget'; readonly n: number; readonly id: string }
  | LinkAnswer;

export type LinkAnswer =
  | { readonly t: 'ok'; readonly n: number }
  /** `data` null: there is no such session; `idleAt` is then 0. */
  | { readonly t: 'session'; readonly n: number; readonly data: string | null; readonly idleAt: number }
  /** `n` 0: it is about the connection, which ends. */
  | { readonly t: 'error'; readonly n: number; readonly code: string; readonly message: string };
