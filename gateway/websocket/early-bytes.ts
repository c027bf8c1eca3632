import type { Duplex } from 'node:stream';

/** What a client may send before it has the answer to its handshake; nothing more is read from it then. */
const LIMIT = 64 * 1024;

/**
 * Reads from a client that waits for its handshake, because the end of a connection from which nobody reads goes unnoticed.
 * Returns what ends that and gives back whatever was read.
 *
 * @param gone - called when the client has ended its connection
 */
export function readEarly(client: Duplex, gone: () => void): () => void {
  const chunks: Buffer[] = [];
  let length = 0;
  const onData = (chunk: Buffer) => {
    chunks.push(chunk);
    length += chunk.length;
    if (length >= LIMIT) client.pause();
  };
  client.on('data', onData);
  client.once('end', gone);
  return () => {
    client.pause();
    client.off('data', onData);
    client.off('end', gone);
    if (length > 0 && !client.destroyed) client.unshift(Buffer.concat(chunks));
  };
}
