import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConfigInput } from '../../config/schema.ts';
import { type TestCertificate, testCertificate } from '../../gateway/testing/test-certificate.ts';

type TlsInput = NonNullable<NonNullable<ConfigInput['gateway']>['tls']>;

/** Certificates in a directory of their own, as an operator would lay them down. */
export class CertificateFiles implements AsyncDisposable {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async create(): Promise<CertificateFiles> {
    return new CertificateFiles(await mkdtemp(join(tmpdir(), 'stickshift-certificates-')));
  }

  /** Makes a certificate for these names and puts it where `name` is, in place of one that is there. */
  async put(name: string, names: readonly string[]): Promise<TestCertificate> {
    const made = testCertificate({ names });
    for (const [extension, text] of [
      ['key', made.key],
      ['crt', made.cert],
    ] as const) {
      const file = join(this.#directory, `${name}.${extension}`);
      await writeFile(`${file}.new`, text);
      await rename(`${file}.new`, file);
    }
    return made;
  }

  /** What the configuration says of them. */
  settings(...names: readonly string[]): TlsInput {
    return {
      certificates: names.map((name) => ({
        cert: join(this.#directory, `${name}.crt`),
        key: join(this.#directory, `${name}.key`),
      })),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }
}
