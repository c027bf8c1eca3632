import type { SecureContextOptions } from 'node:tls';
import type { Logger } from 'pino';
import type { TlsConfig } from '../../config/schema.ts';
import type { CertificateStatus } from '../admin-api/admin-api-types.ts';
import {
  type Certificate,
  type CertificateSource,
  certificateSources,
  digestOf,
  parseCertificate,
  readCertificate,
} from './certificate.ts';
import { CertificateChoice } from './certificate-choice.ts';
import { FileWatch } from './file-watch.ts';

const DAY_MS = 86_400_000;
const WARN_BEFORE_MS = 14 * DAY_MS;

/** One configured certificate, and what became of the newest look at its files. */
interface Slot {
  readonly source: CertificateSource;
  current: Certificate;
  /** Of the files as they were last taken in, or given up. */
  settled: string;
  /** Of files that could not be used when they were first seen so. */
  doubted: string | undefined;
}

export interface CertificatesOptions {
  readonly tls: Pick<TlsConfig, 'certificates' | 'minVersion'>;
  readonly logger: Logger;
  /** Milliseconds; tests want them shorter. */
  readonly settleMs?: number;
  readonly pollMs?: number;
  readonly secondLookMs?: number;
}

/**
 * The certificates that clients are shown, always as of their files. Connections that are open keep the one they began with;
 * files that cannot be used are reported, and what was there before goes on.
 */
export class Certificates {
  readonly #options: CertificatesOptions;
  readonly #slots: readonly Slot[];
  readonly #watch: FileWatch;
  #choice: CertificateChoice<Certificate>;
  #onDefault: ((options: SecureContextOptions) => void) | undefined;
  #looking = false;
  #warnedAt = 0;

  private constructor(options: CertificatesOptions, slots: readonly Slot[]) {
    this.#options = options;
    this.#slots = slots;
    this.#choice = new CertificateChoice(this.all);
    this.#watch = new FileWatch({
      files: slots.flatMap(({ source }) => [source.cert, source.key]),
      logger: options.logger,
      settleMs: options.settleMs ?? 250,
      pollMs: options.pollMs ?? 10_000,
      look: () => void this.#look(),
    });
    for (const certificate of this.all) this.#report(certificate, 'certificate loaded');
    this.#warn();
  }

  /** @throws CertificateError */
  static async load(options: CertificatesOptions): Promise<Certificates> {
    const slots = await Promise.all(
      certificateSources(options.tls).map(async (source): Promise<Slot> => {
        const bytes = await readCertificate(source);
        return {
          source,
          current: parseCertificate(bytes, source),
          settled: digestOf(bytes),
          doubted: undefined,
        };
      }),
    );
    return new Certificates(options, slots);
  }

  /** In the order of the configuration. */
  get all(): readonly Certificate[] {
    return this.#slots.map(({ current }) => current);
  }

  /** For clients that name no host, or one that none is for. */
  get default(): Certificate {
    return this.#slots[0]?.current as Certificate;
  }

  /** @param host - as the client names it */
  for(host: string): Certificate {
    return this.#choice.for(host) ?? this.default;
  }

  /** For `/v1/status`. */
  get status(): CertificateStatus[] {
    return this.all.map(({ file, names, fingerprint, expiresAt }) => ({
      certificate: file,
      names,
      fingerprint,
      expiresAt,
      daysLeft: Math.floor((expiresAt - Date.now()) / DAY_MS),
    }));
  }

  /** Calls `listener` whenever the default certificate is another one. */
  onDefaultChange(listener: (options: SecureContextOptions) => void): void {
    this.#onDefault = listener;
  }

  close(): void {
    this.#watch.close();
  }

  async #look(): Promise<void> {
    // Whoever is looking already reads after the change, or the next poll finds it.
    if (this.#looking) return this.#watch.lookIn(this.#options.settleMs ?? 250);
    this.#looking = true;
    const before = this.default;
    try {
      for (const slot of this.#slots) await this.#refresh(slot);
    } finally {
      this.#looking = false;
    }
    this.#choice = new CertificateChoice(this.all);
    if (this.default !== before) this.#onDefault?.(this.default.options);
    if (Date.now() - this.#warnedAt >= DAY_MS) this.#warn();
  }

  async #refresh(slot: Slot): Promise<void> {
    let digest = 'unreadable';
    try {
      const bytes = await readCertificate(slot.source);
      digest = digestOf(bytes);
      if (digest === slot.settled) return;
      slot.current = parseCertificate(bytes, slot.source);
      slot.settled = digest;
      slot.doubted = undefined;
      this.#report(slot.current, 'certificate reloaded');
      this.#warnedAt = 0;
    } catch (error) {
      if (digest === slot.settled) return;
      if (digest !== slot.doubted) {
        // Between the writing of a certificate and of its key the two do not match: that is no news.
        slot.doubted = digest;
        this.#watch.lookIn(this.#options.secondLookMs ?? 2_000);
        return;
      }
      slot.settled = digest;
      slot.doubted = undefined;
      const { file, fingerprint } = slot.current;
      this.#options.logger.error(
        { err: error, certificate: file, fingerprint },
        'a changed certificate cannot be used; the one before is served on',
      );
    }
  }

  #report({ file, names, fingerprint, expiresAt }: Certificate, message: string): void {
    const expires = new Date(expiresAt).toISOString();
    this.#options.logger.info({ certificate: file, names, fingerprint, expires }, message);
  }

  #warn(): void {
    const now = Date.now();
    this.#warnedAt = now;
    for (const { file, validFrom, expiresAt } of this.all) {
      const about = {
        certificate: file,
        validFrom: new Date(validFrom).toISOString(),
        expires: new Date(expiresAt).toISOString(),
      };
      const { logger } = this.#options;
      if (expiresAt <= now) logger.warn(about, 'a certificate has expired: clients refuse it');
      else if (validFrom > now) logger.warn(about, 'a certificate is not valid yet: clients refuse it');
      else if (expiresAt - now < WARN_BEFORE_MS) logger.warn(about, 'a certificate expires soon');
    }
  }
}
