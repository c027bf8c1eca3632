import { get } from 'node:http';

/** An app server's health check. */
export interface AppCheck {
  /** `http:` */
  readonly url: URL;
  /** Milliseconds. */
  readonly timeout: number;
}

/** Whether an app server answers now, in time, and not only with its web server's word that it is away (5xx). Never rejects. */
export function isAppAlive({ url, timeout }: AppCheck): Promise<boolean> {
  return new Promise((resolve) => {
    // Not fetch, which keeps away from ports that browsers keep away from.
    const request = get(url, { agent: false, signal: AbortSignal.timeout(timeout) });
    request.on('error', () => resolve(false));
    request.on('response', (response) => {
      resolve((response.statusCode ?? 0) < 500);
      response.destroy();
    });
  });
}
