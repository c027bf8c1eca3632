import type { SessionIdRule } from '../../config/schema.ts';

/** Longest session ID, characters. */
const MAX_LENGTH = 512;
/** What a value may be before its format is taken off: express appends a signature, and `s%3A` is longer than `s:`. */
const MAX_RAW_LENGTH = 3 * (MAX_LENGTH + 64);
// No framework makes an ID with blanks, control characters or anything beyond ASCII.
const VISIBLE_ASCII = /^[\x21-\x7e]+$/;

export type SessionIdRefusal = 'oversized' | 'malformed';

/** Takes the session ID out of a value as the application would. Returns a refusal as an object, so that no ID can look like one. */
export type SessionIdFormat = (raw: string) => string | { readonly refused: SessionIdRefusal };

const OVERSIZED = { refused: 'oversized' } as const;
const MALFORMED = { refused: 'malformed' } as const;

export function sessionIdFormat(format: SessionIdRule['format']): SessionIdFormat {
  const extract = EXTRACT[format];
  return (raw) => {
    if (raw.length > MAX_RAW_LENGTH) return OVERSIZED;
    const id = extract(percentDecoded(raw));
    if (id.length > MAX_LENGTH) return OVERSIZED;
    return VISIBLE_ASCII.test(id) ? id : MALFORMED;
  };
}

const EXTRACT: Record<SessionIdRule['format'], (value: string) => string> = {
  plain: (value) => value,
  // express-session ignores a cookie without `s:`, and cookie-signature cuts at the last dot. Only the application has the
  // secret to check the signature with.
  express: (value) => (value.startsWith('s:') ? value.slice(2, Math.max(2, value.lastIndexOf('.'))) : ''),
  // Tomcat's own IDs have no dot: the first one begins the route.
  tomcat: (value) => {
    const dot = value.indexOf('.');
    return dot === -1 ? value : value.slice(0, dot);
  },
};

function percentDecoded(value: string): string {
  if (!value.includes('%')) return value;
  try {
    return decodeURIComponent(value);
  } catch {
    // Not percent-encoding at all: applications take it as it stands.
    return value;
  }
}
