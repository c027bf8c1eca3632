import { hkdfSync } from 'node:crypto';

/** What each part of an installation derives from the one configured secret. */
export interface DerivedSecrets {
  /** Key of {@link sessionKeyDeriver}, 32 bytes. It cannot be rotated: another key is another set of sessions. */
  readonly sessionKey: Uint8Array;
  /** Bearer token of the agents' control API and of app links over TCP, base64url. */
  readonly agentToken: string;
  /** Default key of the affinity cookie, 32 bytes; `gateway.affinity.keys` replaces it. */
  readonly affinity: Uint8Array;
  /** Default key that seals snapshots, 32 bytes; `store.encryption.keys` replaces it. */
  readonly snapshot: Uint8Array;
  /** Fingerprint that tells this installation's store from another's, 16 hexadecimal digits. No secret. */
  readonly installation: string;
}

/**
 * Derives independent secrets from the installation's one secret (HKDF-SHA-256, RFC 5869), so that a leak of a
 * derived one tells nothing about the others.
 */
export function deriveSecrets(secret: string): DerivedSecrets {
  const derive = (purpose: string) => new Uint8Array(hkdfSync('sha256', secret, 'stickshift', purpose, 32));
  return {
    sessionKey: derive('session-key'),
    agentToken: Buffer.from(derive('agent-token')).toString('base64url'),
    affinity: derive('affinity-cookie'),
    snapshot: derive('snapshot'),
    installation: Buffer.from(derive('installation')).toString('hex', 0, 8),
  };
}

/** Turns one configured key of a rotation list (any text) into 32 key bytes for `purpose`. */
export function keyFromText(text: string, purpose: 'affinity-cookie' | 'snapshot'): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', text, 'stickshift', purpose, 32));
}
