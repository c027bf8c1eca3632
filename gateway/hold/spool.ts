import type { Readable } from 'node:stream';

/** A body that was read whole, or the part of it that exceeded the limit with the rest still in the stream. */
export type Spooled =
  | { readonly outcome: 'whole'; readonly body: Buffer }
  | { readonly outcome: 'overflow'; readonly head: Buffer }
  | { readonly outcome: 'broken' };

/** Reads a body into memory, up to `limit` bytes; past it the stream is paused and handed back. */
export function spool(body: Readable & { readonly complete: boolean }, limit: number): Promise<Spooled> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const settle = (spooled: Spooled) => {
      body.off('data', onData);
      body.off('end', onEnd);
      body.off('close', onClose);
      resolve(spooled);
    };
    const onData = (chunk: Buffer) => {
      chunks.push(chunk);
      length += chunk.length;
      if (length <= limit) return;
      body.pause();
      settle({ outcome: 'overflow', head: Buffer.concat(chunks) });
    };
    const onEnd = () =>
      settle(body.complete ? { outcome: 'whole', body: Buffer.concat(chunks) } : { outcome: 'broken' });
    const onClose = () => settle({ outcome: 'broken' });
    body.on('data', onData);
    body.on('end', onEnd);
    body.on('close', onClose);
  });
}
