import { once } from 'node:events';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2';

export interface Http2Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** A connection of HTTP/2. Certificates are not checked. */
export class Http2Client {
  readonly session: ClientHttp2Session;

  private constructor(session: ClientHttp2Session) {
    this.session = session;
    // Streams and `closed` tell what there is to tell.
    session.on('error', () => undefined);
  }

  static async connect(port: number, settings: { initialWindowSize?: number } = {}): Promise<Http2Client> {
    const session = connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false, settings });
    await once(session, 'connect');
    return new Http2Client(session);
  }

  /** Sends a head, GET / unless it says otherwise; its body is the caller's to write. */
  open(headers: OutgoingHttpHeaders = {}, endStream = true): ClientHttp2Stream {
    const stream = this.session.request(
      { ':authority': 'shop.example', ':path': '/', ...headers },
      { endStream },
    );
    stream.on('error', () => undefined);
    return stream;
  }

  /** One whole request. */
  ask(headers: OutgoingHttpHeaders = {}, body?: string | Buffer): Promise<Http2Answer> {
    const stream = this.open(headers, body === undefined);
    if (body !== undefined) stream.end(body);
    return answerTo(stream);
  }

  destroy(): void {
    this.session.destroy();
  }
}

/** @throws Error when the stream is reset, or ends without an answer */
export function answerTo(stream: ClientHttp2Stream): Promise<Http2Answer> {
  return new Promise((resolve, reject) => {
    let headers: IncomingHttpHeaders | undefined;
    const chunks: Buffer[] = [];
    stream.on('response', (received) => {
      headers = received;
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', reject);
    stream.on('close', () => {
      if (headers === undefined || stream.rstCode !== 0) reject(new Error(`reset with ${stream.rstCode}`));
      else resolve({ status: Number(headers[':status']), headers, body: Buffer.concat(chunks) });
    });
  });
}
