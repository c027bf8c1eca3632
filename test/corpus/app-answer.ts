import { head } from './hostile-request.ts';

/** Something that an app server may say to a request, and what becomes of it. */
export interface AppAnswer {
  /** Continues "both lanes are one gateway for …". */
  readonly name: string;
  /** What the app server sends, one character per octet. */
  readonly raw: string;
  /** The request that it answers. Default: a GET. */
  readonly request?: string;
  readonly method?: string;
  /** What the client sends once it is answered, on the same connection. */
  readonly rest?: string;
  /** Said as soon as the head of the request is there. */
  readonly early?: boolean;
  readonly ending?: 'end' | 'reset';
  /** The app server closes when the client has received this. */
  readonly endAfter?: string;
  /** Statuses that the client gets. Default: that of `raw`. None: it gets no whole answer. */
  readonly statuses?: readonly number[];
  /** Why the fast lane may refuse with 502 what the full lane lets through. */
  readonly refusable?: string;
}

export const HOST = 'Host: app.test';
export const LENGTH = 'Content-Length: 5';
export const CHUNKED = 'Transfer-Encoding: chunked';
export const get = (...lines: readonly string[]) => head('GET /here HTTP/1.1', HOST, ...lines);
export const post = (...lines: readonly string[]) =>
  `${head('POST /here HTTP/1.1', HOST, 'Content-Length: 6', ...lines)}item=1`;
export const ok = (...lines: readonly string[]) => head('HTTP/1.1 200 OK', ...lines);
export const hello = (...lines: readonly string[]) => `${ok(LENGTH, ...lines)}hello`;
export const chunks = (body: string, ...lines: readonly string[]) => ok(CHUNKED, ...lines) + body;
export const invalid = (name: string, raw: string): AppAnswer => ({ name, raw, statuses: [502] });
