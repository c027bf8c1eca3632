/** What there is to choose from. */
interface Named {
  /** Lower-cased host names; the first label may be `*`. */
  readonly names: readonly string[];
}

/**
 * Finds the certificate for a host name: one that names it, before one whose wildcard covers it; of several, the first. A
 * wildcard stands for one label (RFC 9525, 6.3).
 */
export class CertificateChoice<T extends Named> {
  readonly #exact = new Map<string, T>();
  /** By what follows `*.`. */
  readonly #wildcards = new Map<string, T>();

  constructor(certificates: readonly T[]) {
    for (const certificate of certificates) {
      for (const name of certificate.names) {
        const isWildcard = name.startsWith('*.');
        const known = isWildcard ? this.#wildcards : this.#exact;
        const key = isWildcard ? name.slice(2) : name;
        if (!known.has(key)) known.set(key, certificate);
      }
    }
  }

  /** @param host - as a client names it */
  for(host: string): T | undefined {
    const name = host.toLowerCase();
    const dot = name.indexOf('.');
    return this.#exact.get(name) ?? (dot > 0 ? this.#wildcards.get(name.slice(dot + 1)) : undefined);
  }
}
