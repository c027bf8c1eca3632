import { head } from './hostile-request.ts';

/** What honest clients and the proxies in front of them send. Every request in it is answered. */
export interface OrdinaryRequest {
  /** Continues "both lanes are one gateway for …". */
  readonly name: string;
  /** What goes over the wire, one character per octet. */
  readonly raw: string;
  /** Methods of the requests in it. Default: one GET. */
  readonly methods?: readonly string[];
  /** What the client sends when it has so many answers (default: all of them). */
  readonly rest?: string;
  readonly restAfter?: number;
  /** Statuses of the answers. Default: 200 each. */
  readonly statuses?: readonly number[];
}

export const HOST = 'Host: app.test';
export const get = (...lines: readonly string[]) => head('GET /here HTTP/1.1', HOST, ...lines);
export const target = (path: string) => head(`GET ${path} HTTP/1.1`, HOST);
export const withBody = (method: string, body: string, ...lines: readonly string[]) =>
  head(`${method} /here HTTP/1.1`, HOST, `Content-Length: ${body.length}`, ...lines) + body;
export const cookies = (...values: readonly string[]) => get(...values.map((value) => `Cookie: ${value}`));
export const every = (length: number, of: (n: number) => string) => Array.from({ length }, (_, n) => of(n));
