/**
 * Whether an app server answers now, in time, and not only with its web server's word that it is away (5xx). Never rejects.
 *
 * @param url - of its health check
 * @param timeoutMs - milliseconds
 */
export async function appAnswers(url: URL, timeoutMs: number): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(timeoutMs);
    const { status, body } = await fetch(url, { redirect: 'manual', signal });
    await body?.cancel();
    return status < 500;
  } catch {
    return false;
  }
}
