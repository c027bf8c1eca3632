import type { IncomingMessage, ServerResponse } from 'node:http';
import { StickshiftError } from '../../protocol/errors.ts';

/** A request whose path has been understood. */
export interface AdminRequest {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The part of the path where the pattern has `:id`. */
  readonly id: string;
  readonly query: URLSearchParams;
}

export interface Route {
  readonly method: 'GET' | 'POST';
  /** `:id` stands for one segment. */
  readonly path: string;
  /** Answered without a token: says nothing that an outsider may not know. */
  readonly open?: boolean;
  handle(request: AdminRequest): void | Promise<void>;
}

export interface FoundRoute {
  readonly route: Route;
  readonly id: string;
  readonly query: URLSearchParams;
}

/** Finds the route for a request. */
export class AdminRouter {
  readonly #routes: readonly { readonly route: Route; readonly pattern: RegExp }[];

  constructor(routes: readonly Route[]) {
    this.#routes = routes.map((route) => ({
      route,
      pattern: new RegExp(`^${route.path.replace(':id', '([^/]+)')}$`),
    }));
  }

  /** @throws StickshiftError `NOT_FOUND`, `METHOD_REFUSED`, `BAD_REQUEST` */
  find(method: string, target: string): FoundRoute {
    const { path, query } = split(target);
    const matching = this.#at(path);
    if (matching.length === 0) throw new StickshiftError('NOT_FOUND', 'there is nothing at this path');
    const found = matching.find(({ route }) => takes(route, method));
    if (!found) throw new StickshiftError('METHOD_REFUSED', `this path does not take ${method}`);
    const segment = found.pattern.exec(path)?.[1] ?? '';
    return { route: found.route, id: decode(segment), query: new URLSearchParams(query) };
  }

  /** For the `Allow` header of a refusal. */
  methodsOf(target: string): string {
    const methods = this.#at(split(target).path).map(({ route }) => route.method);
    return methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])).join(', ');
  }

  #at(path: string) {
    return this.#routes.filter(({ pattern }) => pattern.test(path));
  }
}

function split(target: string): { path: string; query: string } {
  const mark = target.indexOf('?');
  return mark === -1
    ? { path: target, query: '' }
    : { path: target.slice(0, mark), query: target.slice(mark + 1) };
}

function takes(route: Route, method: string): boolean {
  return route.method === method || (method === 'HEAD' && route.method === 'GET');
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch (error) {
    throw new StickshiftError('BAD_REQUEST', 'the path is not well encoded', { cause: error });
  }
}
