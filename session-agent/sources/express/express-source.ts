import type { Server, Socket } from 'node:net';
import type { Logger } from 'pino';
import { asStickshiftError, StickshiftError } from '../../../protocol/errors.ts';
import { APP_LINK_VERSION, type AppToAgent } from '../../express-client/app-link.ts';
import type { LinkAddress } from '../../express-client/link-address.ts';
import type { CapturedSession, SessionSource, SourceListener } from '../session-source.ts';
import { AppConnection, type AppRequest } from './app-connection.ts';
import { isTokenGood, linkAddress, listenForApps } from './link-server.ts';
import { UnsavedBytes } from './unsaved-bytes.ts';

const HELLO_TIMEOUT = 5_000;
/** Logouts and replaced IDs remembered, so that a request which outlives them cannot bring the session back. */
const MAX_ENDED = 10_000;
/** Lookups, logouts and changes of ID under way at once. */
const MAX_REQUESTS = 10_000;
/** Session IDs kept to answer {@link SessionSource.list}; above any number of sessions that an agent looks after. */
const MAX_KNOWN = 4_000_000;
const MAX_UNSAVED = 64 * 1024 * 1024;

export interface ExpressSourceOptions {
  /** Where the app's session store connects: the path of a Unix socket, or host:port. */
  readonly listen: string;
  /** The agent token: an app must have it to connect over TCP. */
  readonly token: string;
  /** ID of the backend, told to the app. */
  readonly backend: string;
  readonly logger: Logger;
  /** Sessions larger than this will not be saved, so their bytes are not kept; bytes. Default 1 MiB. */
  readonly maxSession?: number;
  /** How long the app may take to answer, milliseconds. Default 2000. */
  readonly timeout?: number;
}

/**
 * Sessions of an app that uses `StickshiftStore`. The app connects and says what it holds; one app at a time: a newer
 * connection takes the place of the older. Throws `CONFIG_INVALID` when `listen` is TCP and there is no token.
 */
export function createExpressSource(options: ExpressSourceOptions): SessionSource {
  return new ExpressSource(options);
}

class ExpressSource implements SessionSource {
  readonly kind = 'express';
  readonly #options: ExpressSourceOptions;
  readonly #address: LinkAddress;
  readonly #logger: Logger;
  readonly #maxSession: number;
  readonly #connections = new Set<AppConnection>();
  readonly #unsaved = new UnsavedBytes(MAX_UNSAVED);
  readonly #ended = new Set<string>();
  #known = new Set<string>();
  #listener: SourceListener | undefined;
  #server: Server | undefined;
  /** The app, from its hello on. */
  #app: AppConnection | undefined;
  /** True once the app has said all that it holds. */
  #attached = false;
  #requests = 0;

  constructor(options: ExpressSourceOptions) {
    this.#options = options;
    this.#address = linkAddress(options.listen, options.token);
    this.#logger = options.logger;
    this.#maxSession = options.maxSession ?? 1024 * 1024;
  }

  async start(listener: SourceListener): Promise<void> {
    this.#listener = listener;
    this.#server = await listenForApps(this.#address, (socket) => this.#accept(socket));
    this.#logger.info({ listen: this.#options.listen }, 'waiting for the app’s session store');
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#listener = undefined;
    this.#server = undefined;
    const closed = server && new Promise((resolve) => server.close(resolve));
    for (const connection of this.#connections) connection.close('the agent stops');
    await closed;
  }

  async list(): Promise<string[]> {
    this.#reachableApp();
    return [...this.#known];
  }

  /**
   * The app tells of a change before it answers the request. But an agent that was stopped for a while finds both at once, the
   * app's word and the gateway's question, and may come across the question first.
   */
  async refresh(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
  }

  async capture(id: string): Promise<CapturedSession | undefined> {
    const unsaved = this.#unsaved.take(id);
    if (unsaved) return unsaved;
    const answer = await this.#reachableApp().ask({ t: 'capture', id });
    if (answer.t !== 'session') throw new StickshiftError('SOURCE_FAILED', 'the app misunderstood capture');
    if (answer.data === null) {
      this.#known.delete(id);
      return undefined;
    }
    return { data: Buffer.from(answer.data), idleAt: answer.idleAt };
  }

  async install(id: string, session: CapturedSession): Promise<void> {
    await this.#reachableApp().ask({ t: 'install', id, data: asText(session.data), idleAt: session.idleAt });
    this.#unsaved.drop(id);
    this.#ended.delete(id);
    this.#remember(id);
  }

  async forget(id: string): Promise<void> {
    await this.#reachableApp().ask({ t: 'forget', id });
    this.#unsaved.drop(id);
    this.#known.delete(id);
  }

  #accept(socket: Socket): void {
    const connection = new AppConnection(socket, {
      timeout: this.#options.timeout ?? 2_000,
      onHello: (hello) => {
        clearTimeout(patience);
        this.#welcome(connection, hello);
      },
      onRequest: (request) => this.#receive(connection, request),
      onClose: (reason) => {
        clearTimeout(patience);
        this.#connections.delete(connection);
        if (connection === this.#app) this.#lose(reason);
      },
    });
    const patience = setTimeout(() => connection.close('no hello in time'), HELLO_TIMEOUT).unref();
    this.#connections.add(connection);
  }

  #welcome(connection: AppConnection, hello: Extract<AppToAgent, { t: 'hello' }>): void {
    if (!isTokenGood(this.#address, this.#options.token, hello.token)) {
      this.#logger.warn('refused an app: its token is not the agent token');
      throw new StickshiftError('UNAUTHORIZED', 'the app’s token is not the agent token');
    }
    const former = this.#app;
    this.#app = connection;
    if (former) {
      this.#logger.warn(
        'another connection of an app takes the place of the former; one agent serves one app process',
      );
      former.close('another connection took its place');
      this.#detach('another connection took its place');
    }
    this.#known = new Set();
    connection.send({ t: 'welcome', version: APP_LINK_VERSION, backend: this.#options.backend });
  }

  #lose(reason: string): void {
    this.#app = undefined;
    this.#detach(reason);
  }

  #detach(reason: string): void {
    if (!this.#attached) return;
    this.#attached = false;
    this.#logger.warn({ reason }, 'the app is detached');
    this.#listener?.detached(reason);
  }

  #receive(connection: AppConnection, request: AppRequest): void {
    // What a replaced connection still had in its buffers must not change what the new one has said.
    if (connection !== this.#app || !this.#listener) return;
    switch (request.t) {
      case 'have':
        for (const id of request.ids) this.#remember(id);
        if (request.last && !this.#attached) {
          this.#attached = true;
          this.#logger.info({ sessions: this.#known.size }, 'the app is attached');
          this.#listener.attached();
        }
        return;
      case 'set':
        this.#set(connection, request, this.#listener);
        return;
      case 'touch':
        this.#unsaved.touch(request.id, request.idleAt);
        this.#listener.touched(request.id, request.idleAt);
        return;
      case 'expired':
        for (const id of request.ids) this.#expire(id, this.#listener);
        return;
      case 'destroy':
      case 'replace':
      case 'load':
        void this.#serve(connection, request, this.#listener);
        return;
    }
  }

  #set(connection: AppConnection, set: Extract<AppRequest, { t: 'set' }>, listener: SourceListener): void {
    const { n, id, idleAt } = set;
    if (this.#ended.has(id)) {
      listener.changed(id);
      connection.send({ t: 'error', n, code: 'ENDED', message: 'the session was logged out, or replaced' });
      return;
    }
    const data = Buffer.from(set.data);
    if (data.length <= this.#maxSession) this.#unsaved.put(id, { data, idleAt });
    else this.#unsaved.drop(id);
    this.#remember(id);
    listener.changed(id);
    connection.send({ t: 'ok', n });
  }

  #expire(id: string, listener: SourceListener): void {
    this.#unsaved.drop(id);
    this.#known.delete(id);
    listener.ended(id, 'expired').catch((error: unknown) => {
      this.#logger.warn({ err: error }, 'an expired session could not be ended');
    });
  }

  /** Requests that take their time: the agent goes to the store for them. */
  async #serve(
    connection: AppConnection,
    request: Extract<AppRequest, { t: 'destroy' | 'replace' | 'load' }>,
    listener: SourceListener,
  ): Promise<void> {
    const { t, n, id } = request;
    try {
      if (this.#requests >= MAX_REQUESTS) {
        throw new StickshiftError('SOURCE_FAILED', 'the app has too many requests under way');
      }
      this.#requests += 1;
      try {
        if (t === 'load') {
          const session = await listener.missed(id);
          if (session) {
            this.#ended.delete(id);
            this.#remember(id);
          }
          const data = session ? asText(session.data) : null;
          connection.send({ t: 'session', n, data, idleAt: session?.idleAt ?? 0 });
        } else {
          await this.#end(request, listener);
          connection.send({ t: 'ok', n });
        }
      } finally {
        this.#requests -= 1;
      }
    } catch (error) {
      const { code, message, publicMessage } = asStickshiftError(error);
      this.#logger.warn({ code, reason: message }, `the app’s ${t} failed`);
      connection.send({ t: 'error', n, code, message: publicMessage });
    }
  }

  /** From here on the app may not write the session. */
  async #end(
    request: Extract<AppRequest, { t: 'destroy' | 'replace' }>,
    listener: SourceListener,
  ): Promise<void> {
    const { id } = request;
    this.#known.delete(id);
    this.#ended.add(id);
    for (const oldest of this.#ended) {
      if (this.#ended.size <= MAX_ENDED) break;
      this.#ended.delete(oldest);
    }
    try {
      if (request.t === 'replace') {
        // A change from before is not saved yet, perhaps, and is all that is left if nothing comes of the new ID.
        await listener.replaced(id, request.successor);
      } else {
        this.#unsaved.drop(id);
        await listener.ended(id, 'logout');
      }
    } catch (error) {
      // No tombstone stands: the session may well live on, and its next change is as good as any.
      this.#ended.delete(id);
      throw error;
    }
  }

  #remember(id: string): void {
    if (this.#known.size < MAX_KNOWN) this.#known.add(id);
  }

  #reachableApp(): AppConnection {
    if (!this.#app || !this.#attached) throw new StickshiftError('SOURCE_FAILED', 'no app is connected');
    return this.#app;
  }
}

function asText(data: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data);
  } catch (error) {
    throw new StickshiftError('SOURCE_FAILED', 'a session for this app is not UTF-8 text', { cause: error });
  }
}
