import { constants, createPrivateKey, hash, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import type { TlsConfig } from '../../config/schema.ts';
import { StickshiftError } from '../../protocol/errors.ts';

/** A certificate that can be served. */
export interface Certificate {
  /** As configured. */
  readonly file: string;
  /** Host names it is for, lower-cased; the first label may be `*`. */
  readonly names: readonly string[];
  /** SHA-256, in hex with colons. */
  readonly fingerprint: string;
  /** Milliseconds since 1970. */
  readonly validFrom: number;
  readonly expiresAt: number;
  readonly options: SecureContextOptions;
  /** Made of `options`. */
  readonly context: SecureContext;
}

/** What the two files of a certificate hold right now. */
export interface CertificateBytes {
  readonly cert: Buffer;
  readonly key: Buffer;
}

export interface CertificateSource {
  readonly cert: string;
  readonly key: string;
  readonly minVersion: TlsConfig['minVersion'];
  /** The setting that names the files, for errors. */
  readonly setting: string;
}

/** `CONFIG_INVALID`, naming the setting and the file that cannot be used. */
export class CertificateError extends StickshiftError {
  /** Which of the two files it is. */
  readonly part: 'cert' | 'key';
  /** The message without the setting. */
  readonly reason: string;

  constructor(source: CertificateSource, part: 'cert' | 'key', reason: string, options?: ErrorOptions) {
    super('CONFIG_INVALID', `${source.setting}.${part}: ${reason}`, options);
    this.name = 'CertificateError';
    this.part = part;
    this.reason = reason;
  }
}

/** What is configured, in its order. */
export function certificateSources(tls: Pick<TlsConfig, 'certificates' | 'minVersion'>): CertificateSource[] {
  const { certificates, minVersion } = tls;
  return certificates.map(({ cert, key }, index) => ({
    ...{ cert, key, minVersion },
    setting: `gateway.tls.certificates.${index}`,
  }));
}

/** @throws CertificateError */
export async function readCertificate(source: CertificateSource): Promise<CertificateBytes> {
  return { cert: await read(source, 'cert'), key: await read(source, 'key') };
}

/** Tells whether two readings are of the same files; says nothing of what is in them. */
export function digestOf({ cert, key }: CertificateBytes): string {
  return `${hash('sha256', cert)} ${hash('sha256', key)}`;
}

/** @throws CertificateError that also says what to do */
export function parseCertificate(bytes: CertificateBytes, source: CertificateSource): Certificate {
  const { cert: file, key: keyFile, minVersion } = source;
  const leaf = within(source, 'is no PEM certificate; give it the chain, leaf first', () => {
    return new X509Certificate(bytes.cert);
  });
  const key = privateKey(bytes.key, source);
  if (!leaf.checkPrivateKey(key)) {
    throw new CertificateError(
      source,
      'key',
      `${keyFile} does not belong to the first certificate in ${file}; give it the key that the certificate was made with, and put the certificate itself before those above it`,
    );
  }
  const options: SecureContextOptions = {
    cert: bytes.cert,
    key: bytes.key,
    minVersion,
    honorCipherOrder: true,
    // Renegotiation: HTTP/2 forbids it (RFC 9113, 9.2.1), nobody needs it, and each one costs a handshake.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  };
  const context = within(source, 'cannot be served', () => createSecureContext(options));
  return {
    file,
    names: dnsNames(leaf.subjectAltName),
    fingerprint: leaf.fingerprint256,
    validFrom: leaf.validFromDate.getTime(),
    expiresAt: leaf.validToDate.getTime(),
    options,
    context,
  };
}

function privateKey(pem: Buffer, source: CertificateSource): KeyObject {
  const { key: file } = source;
  try {
    return createPrivateKey(pem);
  } catch (error) {
    const message = pem.includes('ENCRYPTED')
      ? `${file} is encrypted; take its passphrase off (openssl pkey -in ${file} -out …) and let nobody but the gateway read it`
      : `${file} is no PEM private key`;
    throw new CertificateError(source, 'key', message, { cause: error });
  }
}

/** `DNS:a.example, IP Address:192.0.2.1` as `['a.example']`. Node puts what is no plain name in quotes; no client asks for such a one. */
function dnsNames(subjectAltName: string | undefined): string[] {
  return (subjectAltName ?? '')
    .split(', ')
    .flatMap(
      (entry) => /^DNS:((?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)$/i.exec(entry)?.[1]?.toLowerCase() ?? [],
    );
}

async function read(source: CertificateSource, part: 'cert' | 'key'): Promise<Buffer> {
  const file = source[part];
  try {
    return await readFile(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const message =
      code === 'ENOENT'
        ? `there is no ${file}; give it an absolute path, or one from the working directory ${process.cwd()}`
        : code === 'EACCES'
          ? `${file} may not be read by the user that the gateway runs as (uid ${process.getuid?.()})`
          : `cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`;
    throw new CertificateError(source, part, message, { cause: error });
  }
}

function within<T>(source: CertificateSource, what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CertificateError(source, 'cert', `${source.cert} ${what} (${reason})`, { cause: error });
  }
}
