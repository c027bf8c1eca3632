import {
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';

const DAY_MS = 86_400_000;
// ecdsa-with-SHA256, commonName, subjectAltName, basicConstraints; as DER.
const ECDSA_SHA256 = '06082a8648ce3d040302';
const COMMON_NAME = '0603550403';
const SUBJECT_ALT_NAME = '0603551d11';
const BASIC_CONSTRAINTS = '0603551d13';

export interface TestCertificate {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
  /** SHA-256, as Node prints it. */
  readonly fingerprint: string;
}

/**
 * A certificate that is its own authority.
 *
 * @param options.names - host names, `*.` allowed; it is for 127.0.0.1 as well
 * @param options.from - days from now, negative for the past; default: yesterday
 * @param options.until - days from now; default: in 90 days
 */
export function testCertificate(options: {
  names: readonly string[];
  from?: number;
  until?: number;
}): TestCertificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const algorithm = sequence(Buffer.from(ECDSA_SHA256, 'hex'));
  const name = sequence(der(0x31, sequence(Buffer.from(COMMON_NAME, 'hex'), der(0x0c, Buffer.from('test')))));
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    name,
    sequence(time(options.from ?? -1), time(options.until ?? 90)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(subjectAltName(options.names), authority())),
  );
  const signature = Buffer.concat([Buffer.from([0]), sign('sha256', body, privateKey)]);
  const certificate = sequence(body, algorithm, der(0x03, signature));
  const cert = `-----BEGIN CERTIFICATE-----\n${certificate.toString('base64').replace(/.{64}(?=.)/g, '$&\n')}\n-----END CERTIFICATE-----\n`;
  return { cert, key: pem(privateKey), fingerprint: new X509Certificate(cert).fingerprint256 };
}

/** The same key, encrypted. */
export function encryptedKey(key: string): string {
  return createPrivateKey(key)
    .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' })
    .toString();
}

function pem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function subjectAltName(names: readonly string[]): Buffer {
  const entries = names.map((name) => der(0x82, Buffer.from(name)));
  const value = sequence(...entries, der(0x87, Buffer.from([127, 0, 0, 1])));
  return sequence(Buffer.from(SUBJECT_ALT_NAME, 'hex'), der(0x04, value));
}

/** So that a client which is given the certificate as an authority accepts it. */
function authority(): Buffer {
  return sequence(Buffer.from(BASIC_CONSTRAINTS, 'hex'), der(0x04, sequence(der(0x01, Buffer.from([255])))));
}

function time(days: number): Buffer {
  const text = new Date(Date.now() + days * DAY_MS).toISOString().replace(/\D/g, '');
  return der(0x17, Buffer.from(`${text.slice(2, 14)}Z`));
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts));
}

function der(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const head =
    length < 128
      ? [tag, length]
      : length < 256
        ? [tag, 0x81, length]
        : [tag, 0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from(head), content]);
}
