/** In a request, stands for the value of a good affinity cookie of a client without a session. */
export const AFFINITY = '{affinity}';

/** The same of a client whose session, the cookie `sid`, is `known`. */
export const SESSION_AFFINITY = '{affinity of known}';
