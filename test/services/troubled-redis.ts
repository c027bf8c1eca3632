import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/**
 * What becomes of commands: they reach Redis; nobody is there; nobody answers; or each gets `reply`, raw bytes of the
 * protocol, without reaching Redis.
 */
export type Trouble = 'none' | 'away' | 'stalled' | { readonly reply: string };

const COMMAND = /\*\d+\r\n\$\d+\r\n\w+\r\n/g;

/** A door in front of a real Redis that a test can close, block or paint over. */
export class TroubledRedis implements AsyncDisposable {
  readonly url: string;
  #target: URL;
  readonly #server: Server;
  readonly #links = new Set<{ readonly client: Socket; readonly redis: Socket }>();
  #trouble: Trouble = 'none';

  private constructor(server: Server, target: URL) {
    this.#server = server;
    this.#target = target;
    this.url = `redis://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('connection', (client) => this.#accept(client));
  }

  static async start(redisUrl: string): Promise<TroubledRedis> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new TroubledRedis(server, new URL(redisUrl));
  }

  set trouble(trouble: Trouble) {
    const wasStalled = this.#trouble === 'stalled';
    this.#trouble = trouble;
    // What was swallowed in a stall will never be answered.
    if (wasStalled || trouble === 'away') this.#hangUp();
  }

  /** Leads to another server from now on, as an address that follows the primary does. */
  leadTo(redisUrl: string): void {
    this.#target = new URL(redisUrl);
    this.#hangUp();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#hangUp();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #hangUp(): void {
    for (const { client, redis } of this.#links) {
      client.destroy();
      redis.destroy();
    }
  }

  #accept(client: Socket): void {
    client.on('error', () => client.destroy());
    if (this.#trouble === 'away') {
      client.destroy();
      return;
    }
    const redis = connect(Number(this.#target.port), this.#target.hostname);
    const link = { client, redis };
    this.#links.add(link);
    redis.on('error', () => redis.destroy());
    redis.on('close', () => client.destroy());
    client.on('close', () => {
      this.#links.delete(link);
      redis.destroy();
    });
    client.on('data', (chunk: Buffer) => this.#fromClient(chunk, link));
    redis.on('data', (chunk) => {
      if (this.#trouble !== 'stalled') client.write(chunk);
    });
  }

  #fromClient(chunk: Buffer, { client, redis }: { client: Socket; redis: Socket }): void {
    const trouble = this.#trouble;
    if (typeof trouble === 'string') {
      if (trouble === 'none') redis.write(chunk);
      return;
    }
    const commands = chunk.toString('latin1').match(COMMAND)?.length ?? 0;
    client.write(trouble.reply.repeat(commands));
  }
}
