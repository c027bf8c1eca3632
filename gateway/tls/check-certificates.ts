import type { TlsConfig } from '../../config/schema.ts';
import {
  type Certificate,
  CertificateError,
  certificateSources,
  parseCertificate,
  readCertificate,
} from './certificate.ts';

const DAY_MS = 86_400_000;
const WARN_BEFORE_MS = 30 * DAY_MS;

/** What there is to say of one configured certificate. */
export interface CertificateRemark {
  /** Position in the list of the configuration. */
  readonly index: number;
  /** Which of its two files it is about. */
  readonly part: 'cert' | 'key';
  readonly message: string;
}

export interface CheckedCertificates {
  /** Those that can be served. */
  readonly certificates: readonly Certificate[];
  /** With these nothing can be served, or only what clients refuse. */
  readonly problems: readonly CertificateRemark[];
  /** Something is about to go wrong, or not right yet. */
  readonly warnings: readonly CertificateRemark[];
}

/** Looks at the certificates as a gateway does that starts now, and tells everything that is wrong at once. */
export async function checkCertificates(
  tls: Pick<TlsConfig, 'certificates' | 'minVersion'>,
  now = Date.now(),
): Promise<CheckedCertificates> {
  const certificates: Certificate[] = [];
  const problems: CertificateRemark[] = [];
  const warnings: CertificateRemark[] = [];
  for (const [index, source] of certificateSources(tls).entries()) {
    try {
      const certificate = parseCertificate(await readCertificate(source), source);
      certificates.push(certificate);
      const { file, validFrom, expiresAt } = certificate;
      const remark = (message: string) => ({ index, part: 'cert' as const, message: `${file} ${message}` });
      if (expiresAt <= now) {
        problems.push(remark(`expired at ${date(expiresAt)}, and clients refuse it; renew it`));
      } else if (validFrom > now) {
        warnings.push(remark(`is not valid before ${date(validFrom)}; clients refuse it until then`));
      } else if (expiresAt - now < WARN_BEFORE_MS) {
        const days = Math.floor((expiresAt - now) / DAY_MS);
        warnings.push(remark(`expires at ${date(expiresAt)}, in ${days} day${days === 1 ? '' : 's'}`));
      }
    } catch (error) {
      if (!(error instanceof CertificateError)) throw error;
      problems.push({ index, part: error.part, message: error.reason });
    }
  }
  return { certificates, problems, warnings };
}

function date(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z');
}
