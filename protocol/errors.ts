/** Whose fault an error is; decides whether the client, the backend or the operator has to act. */
export type ErrorSource = 'client' | 'backend' | 'agent' | 'store' | 'configuration' | 'internal';

interface ErrorKind {
  readonly source: ErrorSource;
  /** HTTP status that a client or caller of an API gets. */
  readonly status: number;
  /** True when the failed operation certainly had no effect, so that sending it again cannot do it twice. */
  readonly retrySafe: boolean;
  /** What a client may read. Never an address, a backend's name or a stack. */
  readonly publicMessage: string;
}

/** Every error that Stickshift raises on purpose, in one table. `docs/errors.md` explains each. */
export const ERROR_KINDS = {
  // The request itself
  BAD_REQUEST: {
    source: 'client',
    status: 400,
    retrySafe: false,
    publicMessage: 'The request is malformed.',
  },
  METHOD_REFUSED: {
    source: 'client',
    status: 405,
    retrySafe: false,
    publicMessage: 'This method is not served here.',
  },
  REQUEST_TIMEOUT: {
    source: 'client',
    status: 408,
    retrySafe: true,
    publicMessage: 'The request took too long to arrive.',
  },
  LENGTH_REQUIRED: {
    source: 'client',
    status: 411,
    retrySafe: true,
    publicMessage: 'This request needs a Content-Length.',
  },
  HEAD_TOO_LARGE: {
    source: 'client',
    status: 431,
    retrySafe: false,
    publicMessage: 'The request head is too large.',
  },
  NO_POOL: {
    source: 'client',
    status: 404,
    retrySafe: true,
    publicMessage: 'No application is served at this address.',
  },
  CLIENT_ABORTED: {
    source: 'client',
    status: 499,
    retrySafe: false,
    publicMessage: 'The client closed the request.',
  },
  UNAUTHORIZED: {
    source: 'client',
    status: 401,
    retrySafe: true,
    publicMessage: 'A valid bearer token is needed.',
  },
  NOT_FOUND: {
    source: 'client',
    status: 404,
    retrySafe: true,
    publicMessage: 'There is nothing by that name.',
  },

  // The backend
  NO_BACKEND: {
    source: 'backend',
    status: 503,
    retrySafe: true,
    publicMessage: 'No app server is available.',
  },
  CONNECT_FAILED: {
    source: 'backend',
    status: 503,
    retrySafe: true,
    publicMessage: 'The app server could not be reached.',
  },
  CONNECT_TIMEOUT: {
    source: 'backend',
    status: 503,
    retrySafe: true,
    publicMessage: 'The app server could not be reached in time.',
  },
  BACKEND_RESET: {
    source: 'backend',
    status: 502,
    retrySafe: false,
    publicMessage: 'The app server broke off; the request may have been carried out.',
  },
  BACKEND_TIMEOUT: {
    source: 'backend',
    status: 504,
    retrySafe: false,
    publicMessage: 'The app server did not answer in time; the request may have been carried out.',
  },
  BACKEND_INVALID: {
    source: 'backend',
    status: 502,
    retrySafe: false,
    publicMessage: 'The app server gave an invalid answer.',
  },

  // The session
  SESSION_UNKNOWN: {
    source: 'store',
    status: 503,
    retrySafe: true,
    publicMessage: 'Your session cannot be looked up right now; nothing was changed.',
  },
  SESSION_MOVING: {
    source: 'agent',
    status: 503,
    retrySafe: true,
    publicMessage: 'Your session is being moved; nothing was changed.',
  },
  COMMIT_FENCED: {
    source: 'agent',
    status: 503,
    retrySafe: false,
    publicMessage: 'Your session has moved; this change was not kept.',
  },
  COMMIT_ENDED: {
    source: 'agent',
    status: 503,
    retrySafe: false,
    publicMessage: 'Your session has ended; this change was not kept.',
  },
  COMMIT_UNKNOWN: {
    source: 'agent',
    status: 503,
    retrySafe: false,
    publicMessage: 'Your change could not be saved safely.',
  },
  SESSION_UNPROTECTED: {
    source: 'agent',
    status: 503,
    retrySafe: false,
    publicMessage: 'Your session could not be saved.',
  },

  // The store and what it holds
  STORE_UNREACHABLE: {
    source: 'store',
    status: 503,
    retrySafe: true,
    publicMessage: 'The session store cannot be reached.',
  },
  STORE_TIMEOUT: {
    source: 'store',
    status: 503,
    retrySafe: false,
    publicMessage: 'The session store did not answer in time.',
  },
  STORE_REFUSED: {
    source: 'store',
    status: 503,
    retrySafe: false,
    publicMessage: 'The session store refused the operation.',
  },
  STORE_INVALID: {
    source: 'store',
    status: 503,
    retrySafe: false,
    publicMessage: 'The session store gave an invalid answer.',
  },
  STORE_NOT_REPLICATED: {
    source: 'store',
    status: 503,
    retrySafe: false,
    publicMessage: 'The session could not be saved safely.',
  },
  STORE_SETTLING: {
    source: 'store',
    status: 503,
    retrySafe: true,
    publicMessage: 'The session cannot be reached right now.',
  },
  STORE_FOREIGN: {
    source: 'configuration',
    status: 500,
    retrySafe: false,
    publicMessage: 'The configuration is invalid.',
  },
  SNAPSHOT_TOO_OLD: {
    source: 'store',
    status: 503,
    retrySafe: true,
    publicMessage: 'The session cannot be reached right now.',
  },
  JOURNAL_FULL: {
    source: 'agent',
    status: 503,
    retrySafe: false,
    publicMessage: 'The session could not be saved.',
  },
  JOURNAL_FAILED: {
    source: 'agent',
    status: 503,
    retrySafe: false,
    publicMessage: 'The session could not be saved.',
  },
  JOURNAL_INVALID: {
    source: 'agent',
    status: 500,
    retrySafe: false,
    publicMessage: 'Something went wrong.',
  },
  BACKEND_CLAIMED: {
    source: 'configuration',
    status: 503,
    retrySafe: true,
    publicMessage: 'The configuration is invalid.',
  },
  SNAPSHOT_CORRUPT: {
    source: 'store',
    status: 503,
    retrySafe: false,
    publicMessage: 'The stored session cannot be read.',
  },
  SNAPSHOT_TOO_NEW: {
    source: 'store',
    status: 503,
    retrySafe: false,
    publicMessage: 'The stored session needs a newer version.',
  },

  // Agents and their links
  AGENT_UNREACHABLE: {
    source: 'agent',
    status: 503,
    retrySafe: true,
    publicMessage: 'The session agent cannot be reached.',
  },
  AGENT_NO_ANSWER: {
    source: 'agent',
    status: 503,
    retrySafe: false,
    publicMessage: 'The session agent did not answer.',
  },
  AGENT_INVALID: {
    source: 'agent',
    status: 503,
    retrySafe: false,
    publicMessage: 'The session agent gave an invalid answer.',
  },
  AGENT_MISMATCH: {
    source: 'agent',
    status: 503,
    retrySafe: true,
    publicMessage: 'The session agent serves another backend.',
  },
  LEASE_REFUSED: {
    source: 'agent',
    status: 503,
    retrySafe: true,
    publicMessage: 'The session agent grants no lease.',
  },
  SOURCE_FAILED: {
    source: 'agent',
    status: 503,
    retrySafe: true,
    publicMessage: 'The session could not be exchanged with the app.',
  },
  LINK_PROTOCOL: {
    source: 'agent',
    status: 400,
    retrySafe: false,
    publicMessage: 'The app link received a malformed message.',
  },

  // Setting up
  CONFIG_INVALID: {
    source: 'configuration',
    status: 500,
    retrySafe: true,
    publicMessage: 'The configuration is invalid.',
  },
  PORT_IN_USE: { source: 'configuration', status: 500, retrySafe: true, publicMessage: 'A port is in use.' },
  INTERNAL: {
    source: 'internal',
    status: 500,
    retrySafe: false,
    publicMessage: 'Something went wrong inside the gateway.',
  },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERROR_KINDS;

/**
 * An error with a code from {@link ERROR_KINDS}. `message` is for the operator's log and may name addresses;
 * `publicMessage` is all a client ever sees of it.
 */
export class StickshiftError extends Error {
  readonly code: ErrorCode;
  /** When trying again may help, milliseconds from now; `undefined`: not known. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options?: ErrorOptions & { readonly retryAfterMs?: number | undefined },
  ) {
    super(message, options);
    this.name = 'StickshiftError';
    this.code = code;
    this.retryAfterMs = options?.retryAfterMs;
  }

  get source(): ErrorSource {
    return ERROR_KINDS[this.code].source;
  }

  get status(): number {
    return ERROR_KINDS[this.code].status;
  }

  get retrySafe(): boolean {
    return ERROR_KINDS[this.code].retrySafe;
  }

  get publicMessage(): string {
    return ERROR_KINDS[this.code].publicMessage;
  }
}

/** Wraps anything thrown as a {@link StickshiftError}; what is one already passes through. */
export function asStickshiftError(error: unknown, fallback: ErrorCode = 'INTERNAL'): StickshiftError {
  if (error instanceof StickshiftError) return error;
  return new StickshiftError(fallback, error instanceof Error ? error.message : String(error), {
    cause: error,
  });
}
