import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { StickshiftError } from '../../protocol/errors.ts';
import type { SessionKey } from '../../protocol/session-key.ts';
import type { StoredRecord } from '../../store/snapshot-store.ts';
import { compress, decompress } from './compression.ts';
import { decodeEnvelope, encodeHeader, NONCE_SIZE } from './envelope.ts';
import { type KeyRing, sessionCipherKey } from './key-ring.ts';
import { decodePayload, encodePayload, MAX_DESCRIPTION, type SnapshotPayload } from './payload.ts';

const CIPHER = 'aes-256-gcm';

/**
 * Seals sessions for the store and opens them again: zstd when it helps, AES-256-GCM with the session key, the epoch
 * and the seq as associated data. So a snapshot can be opened only as the commit that it was made for; the store can
 * neither read it nor pass it off as another session's or as a newer one.
 */
export class SnapshotSeal {
  readonly #keys: KeyRing;
  readonly #maxPlaintext: number;

  /** @param options.maxSession - largest session, bytes; a snapshot that holds more is refused unopened */
  constructor(keys: KeyRing, options: { readonly maxSession: number }) {
    this.#keys = keys;
    this.#maxPlaintext = options.maxSession + MAX_DESCRIPTION + 4;
  }

  async seal(
    session: SessionKey,
    commit: Pick<StoredRecord, 'epoch' | 'seq'>,
    payload: SnapshotPayload,
  ): Promise<Uint8Array> {
    const plain = encodePayload(payload);
    const smaller = await compress(plain);
    const key = this.#keys.first;
    const nonce = randomBytes(NONCE_SIZE);
    const header = encodeHeader({ ...commit, compressed: smaller !== undefined, keyId: key.id, nonce });
    const cipher = createCipheriv(CIPHER, sessionCipherKey(key, session), nonce);
    cipher.setAAD(associatedData(session, header));
    const ciphertext = cipher.update(smaller ?? plain);
    return Buffer.concat([header, ciphertext, cipher.final(), cipher.getAuthTag()]);
  }

  /**
   * Opens a record's snapshot.
   *
   * @throws StickshiftError `SNAPSHOT_CORRUPT` or `SNAPSHOT_TOO_NEW`
   */
  async open(
    session: SessionKey,
    record: Pick<StoredRecord, 'epoch' | 'seq' | 'snapshot'>,
  ): Promise<SnapshotPayload> {
    const envelope = decodeEnvelope(record.snapshot);
    // An adopt raises the record's epoch and leaves the snapshot, so an older epoch is right and a newer one is not.
    if (envelope.seq !== record.seq || envelope.epoch > record.epoch) {
      throw new StickshiftError(
        'SNAPSHOT_CORRUPT',
        `the snapshot is commit ${envelope.seq} of epoch ${envelope.epoch}, its record says ${record.seq} of ${record.epoch}`,
      );
    }
    const key = this.#keys.find(envelope.keyId);
    if (!key) {
      throw new StickshiftError(
        'SNAPSHOT_CORRUPT',
        `sealed with key ${envelope.keyId.toString(16)}, which is not among store.encryption.keys`,
      );
    }
    const decipher = createDecipheriv(CIPHER, sessionCipherKey(key, session), envelope.nonce);
    decipher.setAAD(associatedData(session, envelope.headerBytes));
    decipher.setAuthTag(envelope.tag);
    let plain: Buffer;
    try {
      plain = Buffer.concat([decipher.update(envelope.ciphertext), decipher.final()]);
    } catch (error) {
      throw new StickshiftError('SNAPSHOT_CORRUPT', 'the snapshot does not match its seal', { cause: error });
    }
    return decodePayload(envelope.compressed ? await decompress(plain, this.#maxPlaintext) : plain);
  }
}

/** A session key always has 43 characters, so the two parts cannot be shifted against each other. */
function associatedData(session: SessionKey, header: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(session, 'latin1'), header]);
}
