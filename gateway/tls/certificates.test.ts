import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { StickshiftError } from '../../protocol/errors.ts';
import { eventually } from '../testing/eventually.ts';
import { type RecordedLog, recordedLog } from '../testing/recorded-log.ts';
import { encryptedKey, type TestCertificate, testCertificate } from '../testing/test-certificate.ts';
import { Certificates } from './certificates.ts';

let directory: string;
let log: RecordedLog;
let loaded: Certificates | undefined;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'stickshift-tls-'));
  log = recordedLog();
});
afterEach(async () => {
  loaded?.close();
  loaded = undefined;
  await rm(directory, { recursive: true });
});

const path = (name: string) => join(directory, name);

async function write(name: string, { cert, key }: TestCertificate): Promise<void> {
  await writeFile(path(`${name}.crt`), cert);
  await writeFile(path(`${name}.key`), key);
}

async function load(names: readonly string[], times: { pollMs?: number; secondLookMs?: number } = {}) {
  loaded = await Certificates.load({
    tls: {
      certificates: names.map((name) => ({ cert: path(`${name}.crt`), key: path(`${name}.key`) })),
      minVersion: 'TLSv1.2',
    },
    logger: log.logger,
    settleMs: 20,
    secondLookMs: 500,
    ...times,
  });
  return loaded;
}

describe('certificates', () => {
  test('are chosen by the host that a client names, the first where none is for it', async () => {
    const [one, two] = [
      testCertificate({ names: ['one.example'] }),
      testCertificate({ names: ['*.two.example'] }),
    ];
    await write('one', one);
    await write('two', two);
    const certificates = await load(['one', 'two']);
    assert.equal(certificates.for('a.two.example').fingerprint, two.fingerprint);
    assert.equal(certificates.for('one.example').fingerprint, one.fingerprint);
    assert.equal(certificates.for('elsewhere.example').fingerprint, one.fingerprint);
    assert.deepEqual(certificates.for('two.example').names, ['one.example']);
  });

  for (const { what, spoil, message } of [
    {
      what: 'a file that is not there',
      spoil: () => rm(path('one.crt')),
      message: /^gateway\.tls\.certificates\.0\.cert: there is no .*one\.crt; give it an absolute path/,
    },
    {
      what: 'a certificate that is none',
      spoil: () => writeFile(path('one.crt'), 'nothing'),
      message: /^gateway\.tls\.certificates\.0\.cert: .*one\.crt is no PEM certificate/,
    },
    {
      what: 'a key that is none',
      spoil: () => writeFile(path('one.key'), 'nothing'),
      message: /^gateway\.tls\.certificates\.0\.key: .*one\.key is no PEM private key/,
    },
    {
      what: 'the key of another certificate',
      spoil: () => writeFile(path('one.key'), testCertificate({ names: [] }).key),
      message: /^gateway\.tls\.certificates\.0\.key: .*one\.key does not belong to the first certificate in/,
    },
    {
      what: 'a key with a passphrase',
      spoil: () => writeFile(path('one.key'), encryptedKey(testCertificate({ names: [] }).key)),
      message: /^gateway\.tls\.certificates\.0\.key: .*one\.key is encrypted; take its passphrase off/,
    },
  ]) {
    test(`end the start with ${what}, and the error names setting and file`, async () => {
      await write('one', testCertificate({ names: ['one.example'] }));
      await spoil();
      await assert.rejects(load(['one']), (error: unknown) => {
        assert.ok(error instanceof StickshiftError);
        assert.equal(error.code, 'CONFIG_INVALID');
        assert.match(error.message, message);
        return true;
      });
    });
  }

  test('that have expired, or soon will, or are not valid yet, are served with a warning', async () => {
    await write('past', testCertificate({ names: ['a.example'], from: -10, until: -1 }));
    await write('soon', testCertificate({ names: ['b.example'], until: 13 }));
    await write('future', testCertificate({ names: ['c.example'], from: 1 }));
    await write('good', testCertificate({ names: ['d.example'], until: 15 }));
    await load(['past', 'soon', 'future', 'good']);
    const warnings = log.lines.filter(({ level }) => level === 40).map(({ msg }) => msg);
    assert.deepEqual(warnings, [
      'a certificate has expired: clients refuse it',
      'a certificate expires soon',
      'a certificate is not valid yet: clients refuse it',
    ]);
  });
});

describe('a certificate whose files change', () => {
  test('is served anew, with a line that says which and how long', async () => {
    await write('one', testCertificate({ names: ['one.example'] }));
    const certificates = await load(['one'], { pollMs: 1_000_000 });
    let renewed = 0;
    certificates.onDefaultChange(() => {
      renewed += 1;
    });
    const next = testCertificate({ names: ['next.example'] });
    await write('one', next);
    await eventually(() => certificates.default.fingerprint === next.fingerprint, 'it is reloaded');
    await eventually(() => renewed === 1, 'the server is told');
    assert.equal(certificates.for('next.example').fingerprint, next.fingerprint);
    const [line] = log.matching(/certificate reloaded/);
    assert.equal(line?.fingerprint, next.fingerprint);
    assert.ok(Date.parse(String(line?.expires)) > Date.now());
    assert.equal(log.matching(/cannot be used/).length, 0);
  });

  test('is served anew when Kubernetes swaps the link to its directory', async () => {
    const mount = async (version: string, { cert, key }: TestCertificate) => {
      await mkdir(path(version));
      await writeFile(join(directory, version, 'tls.crt'), cert);
      await writeFile(join(directory, version, 'tls.key'), key);
      await symlink(version, path('..data_tmp'));
      await rename(path('..data_tmp'), path('..data'));
    };
    await mount('..2026_1', testCertificate({ names: ['one.example'] }));
    await symlink('..data/tls.crt', path('tls.crt'));
    await symlink('..data/tls.key', path('tls.key'));
    const certificates = await load(['tls'], { pollMs: 1_000_000 });
    const next = testCertificate({ names: ['one.example'] });
    await mount('..2026_2', next);
    await eventually(() => certificates.default.fingerprint === next.fingerprint, 'it is reloaded');
  });

  test('is found by looking where nobody reports changes', async () => {
    await mkdir(path('live'));
    await write('live/one', testCertificate({ names: ['one.example'] }));
    const certificates = await load(['live/one'], { pollMs: 20 });
    // The watch stays with the directory that is gone.
    await rename(path('live'), path('old'));
    await mkdir(path('live'));
    const next = testCertificate({ names: ['one.example'] });
    await write('live/one', next);
    await eventually(() => certificates.default.fingerprint === next.fingerprint, 'it is reloaded');
  });

  test('is kept when the new one cannot be used, with one error for each change', async () => {
    const [one, two] = [
      testCertificate({ names: ['one.example'] }),
      testCertificate({ names: ['two.example'] }),
    ];
    await write('one', one);
    await write('two', two);
    const certificates = await load(['one', 'two'], { pollMs: 250 });
    await writeFile(path('one.crt'), testCertificate({ names: ['one.example'] }).cert);
    const errors = () => log.matching(/cannot be used/);
    await eventually(() => errors().length === 1, 'it is reported');
    assert.equal(errors()[0]?.fingerprint, one.fingerprint);
    const next = testCertificate({ names: ['two.example'] });
    await write('two', next);
    await eventually(
      () => certificates.for('two.example').fingerprint === next.fingerprint,
      'the other one is reloaded',
    );
    assert.equal(certificates.default.fingerprint, one.fingerprint);
    await rm(path('one.crt'));
    await eventually(() => errors().length === 2, 'the next change is reported as well');
    await write('one', one);
    await eventually(() => log.matching(/reloaded/).length === 2, 'what can be used is taken');
    assert.equal(errors().length, 2);
  });

  test('is not given up between the writing of its certificate and of its key', async () => {
    await write('one', testCertificate({ names: ['one.example'] }));
    const certificates = await load(['one'], { pollMs: 1_000_000, secondLookMs: 1_000_000 });
    const next = testCertificate({ names: ['one.example'] });
    await writeFile(path('one.crt'), next.cert);
    await pause(200);
    await writeFile(path('one.key'), next.key);
    await eventually(() => certificates.default.fingerprint === next.fingerprint, 'it is reloaded');
    assert.equal(log.matching(/cannot be used/).length, 0);
  });
});
