import { request as httpRequest } from 'node:http';

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The body, when it is JSON. */
  readonly json: unknown;
}

export interface RawRequest {
  readonly method?: string;
  /** `host` and `origin` may be set here; `fetch` would not let them. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | object;
}

/** A request whose every header the test decides. An object as the body is sent as JSON. */
export async function rawRequest(url: string | URL, options: RawRequest = {}): Promise<RawAnswer> {
  const { method = 'GET', headers = {}, body } = options;
  const text = typeof body === 'object' ? JSON.stringify(body) : body;
  const { promise, resolve, reject } = Promise.withResolvers<RawAnswer>();
  const request = httpRequest(url, {
    method,
    agent: false,
    headers: { ...(typeof body === 'object' && { 'content-type': 'application/json' }), ...headers },
  });
  request.on('error', reject);
  request.on('response', async (response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk);
    const answer = Buffer.concat(chunks).toString();
    const isJson = response.headers['content-type'] === 'application/json' && answer !== '';
    resolve({
      status: response.statusCode ?? 0,
      headers: response.headers,
      text: answer,
      json: isJson ? JSON.parse(answer) : undefined,
    });
  });
  request.end(text);
  return promise;
}
