/** What express-session puts on a store: makes `req.session` and `req.sessionID` for a new session. */
export type GenerateSession = (request: SessionRequest) => void;

export interface SessionRequest {
  sessionID?: string;
  session?: unknown;
}

/** A session as it comes out of its JSON. */
export interface StoredSession {
  cookie?: {
    expires?: Date | string | null | undefined;
    originalMaxAge?: number | null | undefined;
  };
  [key: string]: unknown;
}

interface LiveSession {
  readonly constructor: new (request: SessionRequest, stored: StoredSession) => unknown;
  readonly cookie: object;
}

/**
 * Does what `createSession` of express-session's `Store` does, without importing express-session: the Session and
 * Cookie classes are learned from a session that the middleware's own `generate` makes. So they are always those of
 * the copy that the app runs, however the app was installed or bundled.
 */
export class SessionRevival {
  #classes: LiveSession | undefined;

  revive(request: SessionRequest, stored: StoredSession, generate: GenerateSession): unknown {
    this.#classes ??= learnClasses(request, generate);
    const { constructor: Session, cookie: sample } = this.#classes;
    const { expires, originalMaxAge, ...attributes } = stored.cookie ?? {};
    const cookie = Object.assign(Object.create(Object.getPrototypeOf(sample)), {
      path: '/',
      httpOnly: true,
      ...attributes,
      // The setter of express-session's Cookie; it overwrites originalMaxAge, which therefore comes after it.
      expires: typeof expires === 'string' ? new Date(expires) : (expires ?? null),
    });
    cookie.originalMaxAge = originalMaxAge === undefined ? cookie.originalMaxAge : originalMaxAge;
    request.session = new Session(request, { ...stored, cookie });
    return request.session;
  }
}

function learnClasses(request: SessionRequest, generate: GenerateSession): LiveSession {
  // `generate` reads the request (for `genid` and cookie options) and assigns to it: it reads through to the real one,
  // and its assignments stay on this object.
  const scratch: SessionRequest = Object.create(request);
  generate(scratch);
  return scratch.session as LiveSession;
}
