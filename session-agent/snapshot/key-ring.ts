import { createHmac } from 'node:crypto';
import type { SessionKey } from '../../protocol/session-key.ts';

/** One key of the ring with the number by which an envelope names it. */
export interface RingKey {
  readonly id: number;
  readonly secret: Uint8Array;
}

/** The keys that seal and open snapshots. To rotate: put the new key first, and drop the old one when its snapshots are gone. */
export class KeyRing {
  /** Seals. */
  readonly first: RingKey;
  readonly #byId: ReadonlyMap<number, RingKey>;

  /** @param secrets - 32 bytes each; the first seals, any opens */
  constructor(secrets: readonly [Uint8Array, ...Uint8Array[]]) {
    const keys = secrets.map((secret) => ({ id: keyId(secret), secret }));
    this.first = { id: keyId(secrets[0]), secret: secrets[0] };
    this.#byId = new Map(keys.map((key) => [key.id, key]));
  }

  find(id: number): RingKey | undefined {
    return this.#byId.get(id);
  }
}

/**
 * The AES-256 key for one session. AES-GCM with random 96-bit nonces is sound for about 2^32 messages per key; a busy
 * installation would get there in weeks with a single key, and never does with one per session.
 */
export function sessionCipherKey(key: RingKey, session: SessionKey): Uint8Array {
  return createHmac('sha256', key.secret).update('seal\0').update(session).digest();
}

function keyId(secret: Uint8Array): number {
  return createHmac('sha256', secret).update('key id').digest().readUInt32BE(0);
}
