import { Agent, type ClientRequest, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createProxyServer, type ProxyServer } from 'http-proxy-3';
import { asStickshiftError, StickshiftError } from '../../protocol/errors.ts';
import type { Backend } from '../backends/backend.ts';
import { readEarly } from './early-bytes.ts';
import { Tunnel } from './tunnel.ts';

interface TunnelRequest {
  readonly request: IncomingMessage;
  readonly client: Duplex;
  /** Bytes that the client sent behind its request head. */
  readonly head: Buffer;
  readonly backend: Backend;
  /** Set-Cookie to add to the 101 answer. */
  readonly cookie: string | undefined;
  /** Tells the client that it got no tunnel. Called at once when that is known: http-proxy-3 ends the socket right after. */
  readonly refuse: (error: StickshiftError) => void;
  /** The session has moved, or may have, since the handshake was routed. */
  readonly isOutdated: () => boolean;
}

/** Opens WebSocket tunnels through http-proxy-3, and closes those of a backend when it has to go. */
export class WebSocketTunnels {
  readonly #proxy: ProxyServer;
  readonly #open = new Set<Tunnel>();
  readonly #connectTimeoutMs: number;
  readonly #handshakeTimeoutMs: number;
  readonly #starting = new WeakMap<IncomingMessage, (request: ClientRequest) => void>();
  readonly #upgraded = new WeakMap<Duplex, () => void>();

  constructor(options: { connectTimeoutMs: number; handshakeTimeoutMs: number }) {
    this.#connectTimeoutMs = options.connectTimeoutMs;
    this.#handshakeTimeoutMs = options.handshakeTimeoutMs;
    this.#proxy = createProxyServer({ prependPath: false, toProxy: true });
    this.#proxy.on('proxyReqWs', (proxyRequest, request) => this.#starting.get(request)?.(proxyRequest));
    this.#proxy.on('open', (upstream) => this.#upgraded.get(upstream)?.());
    // Socket errors of either side; each tunnel ends both sides itself.
    this.#proxy.on('error', () => undefined);
  }

  /**
   * Connects to a backend first, so that a refused connection can still go to another one: http-proxy-3 gives the client up
   * with its first error.
   *
   * @throws StickshiftError `CONNECT_FAILED`, `CONNECT_TIMEOUT`
   */
  connect(backend: Backend): Promise<Socket> {
    const { url } = backend;
    return new Promise((resolve, reject) => {
      const socket = connect({ host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || 80) });
      const timer = setTimeout(
        () => socket.destroy(new StickshiftError('CONNECT_TIMEOUT', 'no connection in time')),
        this.#connectTimeoutMs,
      );
      const onError = (error: Error) => {
        clearTimeout(timer);
        reject(asStickshiftError(error, 'CONNECT_FAILED'));
      };
      socket.once('error', onError);
      socket.once('connect', () => {
        clearTimeout(timer);
        socket.off('error', onError);
        resolve(socket);
      });
    });
  }

  /** Resolves with the tunnel; with `undefined` when there is none, and the client has been told or is gone. */
  open(tunnelRequest: TunnelRequest, upstream: Socket): Promise<Tunnel | undefined> {
    const { request, client, head, backend, cookie, refuse, isOutdated } = tunnelRequest;
    return new Promise((resolve) => {
      let isRefused = false;
      const agent = new Agent({ keepAlive: false });
      agent.createConnection = () => upstream;
      const timer = setTimeout(
        () => upstream.destroy(new StickshiftError('BACKEND_TIMEOUT', 'no answer to the upgrade in time')),
        this.#handshakeTimeoutMs,
      );
      this.#starting.set(request, (proxyRequest) => {
        proxyRequest.once('upgrade', (answer, socket) => {
          clearTimeout(timer);
          giveBackEarly();
          if (isOutdated()) {
            // http-proxy-3 will write its 101 behind this, into a connection that has ended.
            isRefused = true;
            refuse(new StickshiftError('COMMIT_FENCED', 'the session has moved during the handshake'));
            socket.destroy();
            return;
          }
          if (cookie !== undefined)
            answer.headers['set-cookie'] = [...(answer.headers['set-cookie'] ?? []), cookie];
          // Not before http-proxy-3 has joined the sockets: a message that came right behind the 101 would flow to nobody.
          this.#upgraded.set(socket, () =>
            resolve(this.#track(new Tunnel({ backend, client, upstream: socket }))),
          );
        });
        proxyRequest.once('response', () => {
          clearTimeout(timer);
          giveBackEarly();
          resolve(undefined);
        });
      });
      client.once('close', () => {
        clearTimeout(timer);
        upstream.destroy();
        resolve(undefined);
      });
      this.#proxy.ws(request, client as Socket, head, { target: backend.url, agent }, (error: Error) => {
        clearTimeout(timer);
        // A client that went away took the connection to the backend with it; that is nobody's failure.
        if (!client.destroyed && !isRefused) refuse(asStickshiftError(error, 'BACKEND_RESET'));
        resolve(undefined);
      });
      // Not before: http-proxy-3 has put back what came behind the request head by now.
      const giveBackEarly = readEarly(client, () => client.destroy());
    });
  }

  /** Closes every tunnel to the backend with 1012 (service restart), so that its clients connect again elsewhere. */
  closeTo(backend: Backend): void {
    for (const tunnel of this.#open) {
      if (tunnel.backend === backend) tunnel.close();
    }
  }

  closeAll(): void {
    for (const tunnel of this.#open) tunnel.close();
  }

  get count(): number {
    return this.#open.size;
  }

  #track(tunnel: Tunnel): Tunnel {
    this.#open.add(tunnel);
    tunnel.onEnd(() => this.#open.delete(tunnel));
    return tunnel;
  }
}
