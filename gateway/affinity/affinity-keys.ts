import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';

const KEY_ID_BYTES = 4;
const BACKEND_TAG_BYTES = 8;
const MAC_BYTES = 16;
/** 48 bits: the largest that a number can hold and Node can read. */
const SESSION_TAG_BYTES = 6;

/** Characters of a MAC: base64url of {@link MAC_BYTES}. */
export const MAC_LENGTH = 22;

/**
 * One key of the rotation list, for one pool. Each purpose has a key of its own, derived with the pool's name, so that a
 * cookie of another pool is as foreign as one of another installation.
 */
export class AffinityKey {
  /** Names the key in a cookie; tells nothing about it. */
  readonly id: string;
  readonly #mac: KeyObject;
  readonly #session: KeyObject;
  readonly #backend: KeyObject;

  constructor(key: Uint8Array, pool: string) {
    const derive = (purpose: string) => createHmac('sha256', key).update(`${purpose}\0${pool}`).digest();
    this.id = derive('affinity-key-id').subarray(0, KEY_ID_BYTES).toString('base64url');
    this.#mac = createSecretKey(derive('affinity-mac'));
    this.#session = createSecretKey(derive('affinity-session-tag'));
    this.#backend = createSecretKey(derive('affinity-backend-tag'));
  }

  /** {@link MAC_LENGTH} characters. */
  mac(text: string): string {
    return createHmac('sha256', this.#mac).update(text).digest().toString('base64url', 0, MAC_BYTES);
  }

  /**
   * Compares in constant time. The characters are compared, not the bytes they stand for: the last character of a MAC has
   * spare bits, and one binding shall have one spelling.
   */
  verifies(text: string, mac: string): boolean {
    return (
      mac.length === MAC_LENGTH && timingSafeEqual(Buffer.from(this.mac(text)), Buffer.from(mac, 'latin1'))
    );
  }

  /** Stands for a backend in a cookie: a client can neither read which one it is nor choose another. */
  backendTag(backendId: string): string {
    return createHmac('sha256', this.#backend)
      .update(backendId)
      .digest()
      .toString('base64url', 0, BACKEND_TAG_BYTES);
  }

  /** Stands for a session in a cookie, 1 to 2^48 - 1. */
  sessionTag(sessionId: string): number {
    const tag = createHmac('sha256', this.#session)
      .update(sessionId)
      .digest()
      .readUIntBE(0, SESSION_TAG_BYTES);
    // 0 says that there is no session.
    return tag || 1;
  }
}
