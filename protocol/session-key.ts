import { createHmac } from 'node:crypto';

declare const sessionKeyBrand: unique symbol;

/**
 * HMAC-SHA-256 of application name and session ID, base64url (43 characters). The only form of a session's
 * identity that may reach the store, logs, traces and the admin API: whoever reads those cannot log in with it.
 */
export type SessionKey = string & { readonly [sessionKeyBrand]: true };

/**
 * Derives session keys for one application.
 *
 * @param secret - 32 bytes from {@link deriveSecrets}; every gateway and agent of an installation has the same
 * @param application - name of the application; the same session ID in two applications gives two keys
 */
export function sessionKeyDeriver(
  secret: Uint8Array,
  application: string,
): (sessionId: string) => SessionKey {
  return (sessionId) =>
    createHmac('sha256', secret)
      // The NUL keeps ("ab", "c") and ("a", "bc") apart; a name cannot contain one.
      .update(`${application}\0${sessionId}`)
      .digest('base64url') as SessionKey;
}

const SESSION_KEY = /^[A-Za-z0-9_-]{43}$/;

/** Tells a session key (43 base64url characters) from a session ID, for places where people may type either. */
export function isSessionKey(text: string): text is SessionKey {
  return SESSION_KEY.test(text);
}
