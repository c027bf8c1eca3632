import { promisify } from 'node:util';
import { zstdCompress, zstdCompressSync, zstdDecompress, zstdDecompressSync } from 'node:zlib';
import { StickshiftError } from '../../protocol/errors.ts';

/** Below this, zstd's frame costs about what it saves. */
const WORTH_TRYING = 128;
/** From here on the thread pool does the work: it takes longer than the detour, and commits of others must not wait. */
const LARGE = 32 * 1024;

const compressInPool = promisify(zstdCompress);
const decompressInPool = promisify(zstdDecompress);

/** Compresses with zstd; `undefined` when that does not make it smaller. */
export async function compress(bytes: Uint8Array): Promise<Uint8Array | undefined> {
  if (bytes.length < WORTH_TRYING) return undefined;
  const smaller = bytes.length < LARGE ? zstdCompressSync(bytes) : await compressInPool(bytes);
  return smaller.length < bytes.length ? smaller : undefined;
}

/**
 * Undoes {@link compress}, and never makes more than `limit` bytes of it.
 *
 * @throws StickshiftError `SNAPSHOT_CORRUPT` when it would be more, or is not zstd
 */
export async function decompress(bytes: Uint8Array, limit: number): Promise<Buffer> {
  const options = { maxOutputLength: limit };
  try {
    return bytes.length < LARGE ? zstdDecompressSync(bytes, options) : await decompressInPool(bytes, options);
  } catch (error) {
    throw new StickshiftError('SNAPSHOT_CORRUPT', `cannot be decompressed to at most ${limit} bytes`, {
      cause: error,
    });
  }
}
