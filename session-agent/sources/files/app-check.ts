/** An app server's health check. */
export interface AppCheck {
  readonly url: URL;
  /** Milliseconds. */
  readonly timeout: number;
}

/** Whether an app server answers now, in time, and not only with its web server's word that it is away (5xx). Never rejects. */
export async function isAppAlive({ url, timeout }: AppCheck): Promise<boolean> {
  try {
    const { status, body } = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(timeout) });
    await body?.cancel();
    return status < 500;
  } catch {
    return false;
  }
}
