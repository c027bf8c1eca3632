import type { IncomingHttpHeaders } from 'node:http';
import { stripCookie } from '../cookies/cookie-header.ts';
import { isClientClaim, isDisguisedClaim } from './client-claims.ts';
import { HOP_BY_HOP, nominatedHeaders } from './hop-by-hop.ts';
import { clientAddress, plainAddress, type TrustedProxies } from './trusted-proxies.ts';

/** The connection that a request came on, and its headers; `http.IncomingMessage` is one. */
export interface ArrivedRequest {
  readonly headers: IncomingHttpHeaders;
  readonly socket: {
    readonly remoteAddress?: string | undefined;
    /** True on a TLS socket. */
    readonly encrypted?: boolean | undefined;
  };
}

/** Who sent a request, as far as trusted proxies vouch for it. */
export interface Client {
  readonly address: string;
  /** Came over TLS, to us or to the trusted proxy in front. */
  readonly encrypted: boolean;
  /** Address of the connection's other end. */
  readonly peer: string;
  /** The peer is a trusted proxy: its X-Forwarded-* headers are believed. */
  readonly peerTrusted: boolean;
}

export interface RequestHeaders {
  client(request: ArrivedRequest): Client;
  /**
   * The headers for the backend, an object of its own. Without Transfer-Encoding, and with the client's Content-Length:
   * whoever sends the body on may have to change them.
   *
   * @param options - `upgrade`: keep the WebSocket handshake's Connection and Upgrade
   */
  forBackend(
    request: ArrivedRequest,
    client: Client,
    options?: { readonly upgrade?: boolean },
  ): IncomingHttpHeaders;
  /** A Cookie header without affinity cookies; `undefined` when nothing is left. */
  withoutAffinity(cookie: string): string | undefined;
}

/** What becomes of a request's header on its way to a backend. A claim goes on only if a trusted proxy makes it. */
export type RequestFieldFate = 'forward' | 'claim' | 'drop';

/**
 * By the header's name alone; what a Connection header nominates is dropped beside it.
 *
 * @param name - lower-cased
 */
export function requestFieldFate(name: string): RequestFieldFate {
  // Expect has been answered here. `Proxy` would become HTTP_PROXY in CGI and PHP, and send the app's own requests astray.
  if (HOP_BY_HOP.has(name) || name === 'expect' || name === 'proxy' || isDisguisedClaim(name)) return 'drop';
  return isClientClaim(name) ? 'claim' : 'forward';
}

export interface RequestHeadersOptions {
  readonly trustedProxies: TrustedProxies;
  /** Names of the affinity cookies; no application ever sees one, its own or another pool's. */
  readonly affinityCookies: readonly string[];
}

/**
 * Builds what a backend is told. `Via` is not added, though RFC 9110, 7.6.3 asks for it: an nginx in the backend stops
 * compressing for whoever sends it (`gzip_proxied`), and the gateway is there to change nothing.
 */
export function createRequestHeaders(options: RequestHeadersOptions): RequestHeaders {
  const { trustedProxies, affinityCookies } = options;
  return {
    client({ headers, socket }) {
      const peer = plainAddress(socket.remoteAddress ?? '');
      const peerTrusted = trustedProxies(peer);
      if (!peerTrusted) return { address: peer, encrypted: socket.encrypted === true, peer, peerTrusted };
      const proto = firstOf(headers['x-forwarded-proto'])?.toLowerCase();
      return {
        address: clientAddress(peer, headers['x-forwarded-for'] as string | undefined, trustedProxies),
        // Some proxies name a WebSocket's scheme.
        encrypted: proto === undefined ? socket.encrypted === true : proto === 'https' || proto === 'wss',
        peer,
        peerTrusted,
      };
    },

    forBackend({ headers }, client, { upgrade = false } = {}) {
      const nominated = nominatedHeaders(headers.connection);
      const forwarded: IncomingHttpHeaders = {};
      for (const name in headers) {
        const fate = requestFieldFate(name);
        if (fate === 'drop' || (fate === 'claim' && !client.peerTrusted) || nominated?.has(name)) continue;
        forwarded[name] = headers[name];
      }
      if (headers.cookie !== undefined) {
        const cookie = this.withoutAffinity(headers.cookie);
        if (cookie === undefined) delete forwarded.cookie;
        else forwarded.cookie = cookie;
      }
      if (upgrade) {
        forwarded.connection = 'Upgrade';
        forwarded.upgrade = headers.upgrade;
      }
      describeClient(forwarded, client, headers.host);
      return forwarded;
    },

    withoutAffinity(cookie) {
      let rest: string | undefined = cookie;
      for (const name of affinityCookies) rest = rest && stripCookie(rest, name);
      return rest;
    },
  };
}

/**
 * Tells the backend who the client is.
 *
 * @param forwarded - with the X-Forwarded-* of a trusted proxy; changed
 * @param host - the request's Host header
 */
export function describeClient(
  forwarded: IncomingHttpHeaders,
  client: Client,
  host: string | undefined,
): void {
  const earlier = forwarded['x-forwarded-for'];
  const scheme = client.encrypted ? 'https' : 'http';
  forwarded['x-forwarded-for'] = earlier ? `${earlier}, ${client.peer}` : client.peer;
  forwarded['x-forwarded-proto'] = scheme;
  if (host === undefined) return;
  forwarded['x-forwarded-host'] ??= host;
  forwarded['x-forwarded-port'] ??=
    portOf(firstOf(forwarded['x-forwarded-host'])) ?? (client.encrypted ? '443' : '80');
}

/** The port that the client sees, which behind a port mapping is not the one that we listen on. */
function portOf(host: string | undefined): string | undefined {
  return host === undefined ? undefined : /:(\d+)$/.exec(host)?.[1];
}

/** Proxies that add to the list instead of replacing it put the client's own scheme first. */
function firstOf(list: string | readonly string[] | undefined): string | undefined {
  if (typeof list !== 'string') return undefined;
  const comma = list.indexOf(',');
  return (comma === -1 ? list : list.slice(0, comma)).trim();
}
