import { Agent, type RequestOptions, request } from 'node:https';
import { text } from 'node:stream/consumers';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';

export interface TlsAnswer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
}

/** One HTTP/1.1 request by TLS, on a connection of its own unless `agent` is given. */
export function requestByTls(
  port: number,
  options: RequestOptions & { readonly send?: string } = {},
): Promise<TlsAnswer> {
  const { send, ...rest } = options;
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, agent: new Agent({ keepAlive: false }), ...rest });
    outgoing.on('error', reject);
    outgoing.on('response', async (response) => {
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: await text(response) });
    });
    outgoing.end(send);
  });
}

/** Completes a handshake. Certificates are not checked unless `ca` is given. */
export function connectByTls(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: '127.0.0.1',
      port,
      rejectUnauthorized: options.ca !== undefined,
      ...options,
    });
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      socket.off('error', reject);
      socket.on('error', () => socket.destroy());
      resolve(socket);
    });
  });
}
