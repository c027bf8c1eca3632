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

/** @throws StickshiftError `CONFIG_INVALID` naming the setting and the file */
export async function readCertificate({ cert, key, setting }: CertificateSource): Promise<CertificateBytes> {
  return { cert: await read(cert, `${setting}.cert`), key: await read(key, `${setting}.key`) };
}

/** Tells whether two readings are of the same files; says nothing of what is in them. */
export function digestOf({ cert, key }: CertificateBytes): string {
  return `${hash('sha256', cert)} ${hash('sha256', key)}`;
}

/** @throws StickshiftError `CONFIG_INVALID` naming the setting and the file, and what to do */
export function parseCertificate(bytes: CertificateBytes, source: CertificateSource): Certificate {
  const { cert: file, key: keyFile, setting, minVersion } = source;
  const leaf = within(`${setting}.cert: ${file} is no PEM certificate; give it the chain, leaf first`, () => {
    return new X509Certificate(bytes.cert);
  });
  const key = privateKey(bytes.key, source);
  if (!leaf.checkPrivateKey(key)) {
    throw new StickshiftError(
      'CONFIG_INVALID',
      `${setting}.key: ${keyFile} does not belong to the first certificate in ${file}; give it the key that the certificate was made with, and put the certificate itself before those above it`,
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
  const context = within(`${setting}.cert: ${file} cannot be served`, () => createSecureContext(options));
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

function privateKey(pem: Buffer, { setting, key: file }: CertificateSource): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    const message = pem.includes('ENCRYPTED')
      ? `${file} is encrypted; take its passphrase off (openssl pkey -in ${file} -out …) and let nobody but the gateway read it`
      : `${file} is no PEM private key`;
    throw new StickshiftError('CONFIG_INVALID', `${setting}.key: ${message}`, { cause: error });
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

async function read(file: string, setting: string): Promise<Buffer> {
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
    throw new StickshiftError('CONFIG_INVALID', `${setting}: ${message}`, { cause: error });
  }
}

function within<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new StickshiftError('CONFIG_INVALID', `${what} (${reason})`, { cause: error });
  }
}
