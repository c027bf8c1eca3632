import { stringifySetCookie } from 'cookie';
import type { GatewayConfig } from '../../config/schema.ts';
import { StickshiftError } from '../../protocol/errors.ts';
import { cookieValueAt, nextCookie } from '../cookies/cookie-header.ts';
import type { Stamp } from '../leases/stamp.ts';
import { detached, RecentMap } from '../memory/recent-map.ts';
import { AffinityKey, MAC_LENGTH } from './affinity-keys.ts';
import { BackendTags } from './backend-tag.ts';

const VERSION = 'v1';
/** Longer than any value that {@link AffinityCookies.issue} can make; what exceeds it is not worth a look. */
const MAX_LENGTH = 128;
/**
 * How far the clocks of two gateways may be apart: each may be set wrong by five minutes, and a little more. Trust does not hang
 * on it, stamps are for that; a refused cookie costs a lookup, and a cookie from the future lives so much longer at most.
 */
const MAX_CLOCK_SKEW_MS = 15 * 60_000;
/** Cookies of one name that are tried: a client that sends more is not a browser. */
const MAX_DUPLICATES = 8;
const DEFAULT_REMEMBERED = 65_536;

// version . key id . backend tag . epoch . issue time . seconds from issue until last seen . session tag . life . recall . MAC
const VALUE =
  /^v1\.([\w-]{6})\.([\w-]{11})\.([0-9a-z]{1,11})\.([0-9a-z]{1,8})\.([0-9a-z]{1,8})\.([0-9a-z]{1,10})\.([\w-]{6}|)\.([0-9a-z]{1,11})\.([\w-]{22})$/;

/** What a good affinity cookie says. A hint: the record in the store is the truth. */
export interface Affinity {
  /** ID of a backend of this pool. */
  readonly backend: string;
  /** Epoch of the session's record when the cookie was made, 0 when it had none. */
  readonly epoch: number;
  /** {@link AffinityCookies.sessionTag} of the session that was bound, 0 when there was none. */
  readonly session: number;
  /** When the client was first bound to this backend, milliseconds since 1970, whole seconds. */
  readonly issuedAt: number;
  /** When the client was last seen here, milliseconds since 1970, whole seconds, rounded down. */
  readonly seenAt: number;
  /** As of when the binding was right; `undefined`: it has not been confirmed. */
  readonly stamp: Stamp | undefined;
  /** Names the key that it was made with. */
  readonly keyId: string;
}

/**
 * Why an affinity cookie is no cookie: `oversized`, `malformed`; `foreign`: made with a key that this pool does not have
 * (another pool, another installation, a key rotated away); `forged`: the MAC is wrong; `expired`: `maxAge` is over; `idle`:
 * not seen for too long; `future`: issued or seen more than a quarter of an hour from now; `unknown-backend`: it was removed.
 */
export type AffinityRefusal =
  | 'oversized'
  | 'malformed'
  | 'foreign'
  | 'forged'
  | 'expired'
  | 'idle'
  | 'future'
  | 'unknown-backend';

export type AffinityVerdict =
  | { readonly ok: true; readonly affinity: Affinity }
  | { readonly ok: false; readonly reason: AffinityRefusal };

export interface AffinityCookiesOptions {
  /** Rotation list, 32 bytes each: the first signs, all verify. */
  readonly keys: readonly Uint8Array[];
  readonly config: GatewayConfig['affinity'];
  /** Name of the pool: a cookie of another pool is foreign. */
  readonly pool: string;
  readonly backendIds: Iterable<string>;
  /** How many good cookie values, and how many session tags, are remembered. Default 65 536 each, some 300 bytes apiece. */
  readonly remembered?: number;
}

export interface AffinityCookies {
  /**
   * What the affinity cookie of a Cookie header says; `undefined` when it has none. Of several cookies of that name the first
   * good one counts, for a client may hold one for a parent domain or path that this gateway has never seen.
   *
   * @param now - milliseconds since 1970
   */
  fromCookieHeader(header: string, now: number): AffinityVerdict | undefined;
  /** @param now - milliseconds since 1970 */
  verify(value: string, now: number): AffinityVerdict;
  /**
   * A cookie value for {@link setCookieHeader}.
   *
   * @param binding - `session`: by {@link sessionTag}, 0 for none; `stamp`: `undefined` when the binding is not confirmed;
   *   `issuedAt`: when the binding began, default `now`
   * @throws StickshiftError `INTERNAL` when the pool has no such backend
   */
  issue(binding: {
    readonly backend: string;
    readonly epoch: number;
    readonly session: number;
    readonly stamp: Stamp | undefined;
    readonly issuedAt?: number;
    readonly now: number;
  }): string;
  /** True when the client should get its cookie anew: last seen too long ago, or made with a key that no longer signs. */
  needsRenewal(affinity: Affinity, now: number): boolean;
  /**
   * A short keyed fingerprint of a session ID, never 0: tells whether a cookie was made for this very session.
   *
   * @param under - the cookie that it will be compared with, so that the key of that one is used; default: the signing key
   */
  sessionTag(sessionId: string, under?: Affinity): number;
  /** @param secure - the client came over TLS */
  setCookieHeader(value: string, options: { readonly secure: boolean }): string;
}

/** @throws StickshiftError `CONFIG_INVALID` when there is no key */
export function createAffinityCookies(options: AffinityCookiesOptions): AffinityCookies {
  return new SignedAffinityCookies(options);
}

type Good = Extract<AffinityVerdict, { ok: true }>;

// One object per reason, because refusing is what an attacker may make us do often.
const REFUSED = Object.fromEntries(
  (
    ['oversized', 'malformed', 'foreign', 'forged', 'expired', 'idle', 'future', 'unknown-backend'] as const
  ).map((reason) => [reason, { ok: false, reason }]),
) as { readonly [Reason in AffinityRefusal]: { readonly ok: false; readonly reason: Reason } };

class SignedAffinityCookies implements AffinityCookies {
  readonly #config: GatewayConfig['affinity'];
  readonly #signing: AffinityKey;
  readonly #keys: ReadonlyMap<string, AffinityKey>;
  readonly #tags: BackendTags;
  /** Good values only: what a client makes up cannot push out what is of use. */
  readonly #verified: RecentMap<string, Good>;
  readonly #sessionTags: RecentMap<string, number>;
  readonly #attributes: Omit<Parameters<typeof stringifySetCookie>[0], 'name' | 'value' | 'secure'>;

  constructor({ keys, config, pool, backendIds, remembered = DEFAULT_REMEMBERED }: AffinityCookiesOptions) {
    const ring = keys.map((key) => new AffinityKey(key, pool));
    const signing = ring[0];
    if (!signing) throw new StickshiftError('CONFIG_INVALID', 'gateway.affinity.keys is empty');
    this.#config = config;
    this.#signing = signing;
    // Reversed, so that the signing key wins should it be listed twice.
    this.#keys = new Map(ring.reverse().map((key) => [key.id, key]));
    this.#tags = new BackendTags([...this.#keys.values()], backendIds, signing);
    this.#verified = new RecentMap(remembered);
    this.#sessionTags = new RecentMap(remembered);
    this.#attributes = {
      path: '/',
      httpOnly: true,
      maxAge: Math.floor(config.maxAge / 1000),
      // A partitioned cookie that is not SameSite=None would never be sent from within a frame, which is all it is for.
      sameSite: config.partitioned ? 'none' : (config.sameSite.toLowerCase() as 'lax' | 'strict' | 'none'),
      partitioned: config.partitioned,
      ...(config.domain === undefined ? {} : { domain: config.domain }),
    };
  }

  fromCookieHeader(header: string, now: number): AffinityVerdict | undefined {
    let refused: AffinityVerdict | undefined;
    let at = nextCookie(header, this.#config.cookie, 0);
    for (let tried = 0; at !== -1 && tried < MAX_DUPLICATES; tried++) {
      const verdict = this.verify(cookieValueAt(header, at), now);
      if (verdict.ok) return verdict;
      refused ??= verdict;
      at = nextCookie(header, this.#config.cookie, at);
    }
    return refused;
  }

  verify(value: string, now: number): AffinityVerdict {
    if (value.length > MAX_LENGTH) return REFUSED.oversized;
    let found: AffinityVerdict | undefined = this.#verified.get(value);
    if (!found) {
      found = this.#parse(value);
      if (!found.ok) return found;
      this.#verified.set(detached(value), found);
    }
    const { issuedAt, seenAt } = found.affinity;
    // `seenAt` is never before `issuedAt`.
    if (seenAt > now + MAX_CLOCK_SKEW_MS) return REFUSED.future;
    if (now - issuedAt > this.#config.maxAge) return REFUSED.expired;
    if (now - seenAt > this.#config.idle) return REFUSED.idle;
    return found;
  }

  #parse(value: string): AffinityVerdict {
    const parts = VALUE.exec(value);
    if (!parts) return REFUSED.malformed;
    const [, keyId = '', tag = '', epoch = '', issued = '', seenAfter = '', session = ''] = parts;
    const [life = '', recall = '', mac = ''] = parts.slice(7);
    const key = this.#keys.get(keyId);
    if (!key) return REFUSED.foreign;
    if (!key.verifies(value.slice(0, -MAC_LENGTH - 1), mac)) return REFUSED.forged;
    const backend = this.#tags.backendOf(key, tag);
    if (backend === undefined) return REFUSED['unknown-backend'];
    const issuedAt = parseInt(issued, 36) * 1000;
    return {
      ok: true,
      affinity: {
        backend,
        epoch: parseInt(epoch, 36),
        session: parseInt(session, 36),
        issuedAt,
        seenAt: issuedAt + parseInt(seenAfter, 36) * 1000,
        stamp: life === '' ? undefined : { life, recall: parseInt(recall, 36) },
        keyId,
      },
    };
  }

  issue({ backend, epoch, session, stamp, issuedAt, now }: Parameters<AffinityCookies['issue']>[0]): string {
    const tag = this.#tags.tagOf(backend);
    if (tag === undefined)
      throw new StickshiftError('INTERNAL', `no affinity cookie for unknown backend ${backend}`);
    const seen = Math.floor(now / 1000);
    // A gateway whose clock is ahead may have issued it: last seen cannot be before that.
    const issued = Math.min(Math.floor((issuedAt ?? now) / 1000), seen);
    const fields = [epoch, issued, seen - issued, session].map((field) => field.toString(36)).join('.');
    const confirmed = stamp ? `${stamp.life}.${stamp.recall.toString(36)}` : '.0';
    const text = `${VERSION}.${this.#signing.id}.${tag}.${fields}.${confirmed}`;
    return `${text}.${this.#signing.mac(text)}`;
  }

  needsRenewal(affinity: Affinity, now: number): boolean {
    return now - affinity.seenAt >= this.#config.renewAfter || affinity.keyId !== this.#signing.id;
  }

  sessionTag(sessionId: string, under?: Affinity): number {
    const key = (under && this.#keys.get(under.keyId)) ?? this.#signing;
    // Clients that still hold a cookie of an older key are renewed at this request: not worth remembering.
    if (key !== this.#signing) return key.sessionTag(sessionId);
    let tag = this.#sessionTags.get(sessionId);
    if (tag === undefined) {
      tag = key.sessionTag(sessionId);
      this.#sessionTags.set(detached(sessionId), tag);
    }
    return tag;
  }

  setCookieHeader(value: string, { secure }: { readonly secure: boolean }): string {
    const { secure: rule, cookie } = this.#config;
    return stringifySetCookie({
      ...this.#attributes,
      name: cookie,
      value,
      // Browsers drop a cookie that is Partitioned or SameSite=None, and not Secure.
      secure: this.#attributes.sameSite === 'none' || rule === 'always' || (rule === 'auto' && secure),
    });
  }
}
