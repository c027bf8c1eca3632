import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { connectToGateway } from './admin-access.ts';
import { runCli } from './program.ts';
import { RecordingTerminal } from './testing/recording-terminal.ts';
import { refusal, startScriptedGateway, statusOf } from './testing/scripted-gateway.ts';

const TOKEN = 'a token of sixteen';
const directory = mkdtempSync(join(tmpdir(), 'stickshift-admin-'));
after(() => rmSync(directory, { recursive: true }));
function configFile(name: string, admin: object): string {
  const path = join(directory, name);
  writeFileSync(path, JSON.stringify({ secret: 'x'.repeat(32), gateway: { admin } }));
  return path;
}
const config = configFile('stickshift.yaml', { listen: '0.0.0.0:8999', token: TOKEN });
const broken = join(directory, 'broken.yaml');
writeFileSync(broken, 'secret: x\n');

describe('the gateway that a command talks to', () => {
  test('is the one that is named: by --admin, else by --config, else by the environment', async () => {
    const env = { STICKSHIFT_ADMIN_URL: 'http://environment:1', STICKSHIFT_CONFIG: config };
    assert.equal((await connectToGateway({ admin: 'option:2', config }, env)).url, 'http://option:2');
    assert.equal((await connectToGateway({ config }, env)).url, 'http://127.0.0.1:8999');
    assert.equal((await connectToGateway({}, env)).url, 'http://environment:1');
  });

  test('is never another one than that of the file that was typed', async () => {
    const env = { STICKSHIFT_ADMIN_URL: 'http://environment:1', STICKSHIFT_ADMIN_TOKEN: 'another' };
    await assert.rejects(connectToGateway({ config: broken }, env), /expected at least 32 characters/);
  });

  test('is else the one of the configuration, on this machine where it listens everywhere', async () => {
    assert.equal((await connectToGateway({ config }, {})).url, 'http://127.0.0.1:8999');
  });

  test('may be named past a configuration that is broken', async () => {
    const named = await connectToGateway({ admin: 'http://gateway:1' }, { STICKSHIFT_CONFIG: broken });
    assert.equal(named.url, 'http://gateway:1');
    await assert.rejects(
      connectToGateway({}, { STICKSHIFT_CONFIG: broken }),
      /expected at least 32 characters/,
    );
  });

  test('gets the token of the environment, else of the configuration', async () => {
    await using gateway = await startScriptedGateway(() => [200, statusOf()]);
    const options = { admin: gateway.url, config };
    await (await connectToGateway(options, {})).status();
    await (await connectToGateway(options, { STICKSHIFT_ADMIN_TOKEN: 'another' })).status();
    assert.deepEqual(
      gateway.requests.map(({ authorization }) => authorization),
      [`Bearer ${TOKEN}`, 'Bearer another'],
    );
  });

  test('gets the token of a file that was typed, and not that of the environment’s gateway', async () => {
    await using gateway = await startScriptedGateway(() => [200, statusOf()]);
    const listen = new URL(gateway.url).host;
    const itsConfig = configFile('its.yaml', { listen, token: TOKEN });
    const withoutToken = configFile('no-token.yaml', { listen });
    const env = { STICKSHIFT_ADMIN_URL: 'http://environment:1', STICKSHIFT_ADMIN_TOKEN: 'another' };
    await (await connectToGateway({ config: itsConfig }, env)).status();
    await (await connectToGateway({ config: withoutToken }, env)).status();
    assert.deepEqual(
      gateway.requests.map(({ authorization }) => authorization),
      [`Bearer ${TOKEN}`, 'Bearer another'],
    );
  });
});

describe('a gateway that does not help', () => {
  async function complaint(admin: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
    const terminal = new RecordingTerminal({ env: { ...env, STICKSHIFT_ADMIN_URL: admin } });
    const status = await runCli(['status'], terminal);
    assert.equal(terminal.stdout, '');
    return `${status}: ${terminal.stderr}`;
  }

  test('because it is not there: how to name another', async () => {
    const gateway = await startScriptedGateway(() => [200, statusOf()]);
    await gateway[Symbol.asyncDispose]();
    assert.match(
      await complaint(gateway.url),
      /^1: No gateway answers at http:\/\/127\.0\.0\.1:\d+ \(ECONNREFUSED\)\. Is it running\? .*--admin/,
    );
  });

  test('because it wants a token, or another one', async () => {
    await using gateway = await startScriptedGateway(() => [401, refusal('UNAUTHORIZED', 'no')]);
    assert.match(await complaint(gateway.url), /^1: .*wants a token: set STICKSHIFT_ADMIN_TOKEN/);
    assert.match(await complaint(gateway.url, { STICKSHIFT_ADMIN_TOKEN: 't' }), /^1: .*refuses this token/);
  });

  for (const [what, status, answer] of [
    ['a page', 200, '<html>'],
    ['a page that is not found', 404, '<html>'],
    ['JSON that is not a gateway’s', 200, { ok: true }],
    ['JSON that is nothing', 200, null],
    ['an error in words', 404, { error: 'not found' }],
    ['an error without a code', 404, { error: { message: 'not found' } }],
    ['an error with a code that is a number', 500, { error: { code: 500, message: 'no' } }],
    ['no error at all', 503, {}],
  ] as const) {
    test(`because it is something else, which answers with ${what}`, async () => {
      await using gateway = await startScriptedGateway(() => [status, answer]);
      assert.equal(
        await complaint(gateway.url),
        `1: What answers at ${gateway.url} is no admin API of a gateway (status ${status}): set --admin to it.\n`,
      );
    });
  }

  test('because it is an agent, which refuses in the same words', async () => {
    for (const [status, code] of [
      [401, 'UNAUTHORIZED'],
      [404, 'NOT_FOUND'],
    ] as const) {
      await using agent = await startScriptedGateway(() => [status, refusal(code, 'no')], {
        health: { status: 'ok' },
      });
      assert.match(
        await complaint(agent.url),
        new RegExp(`^1: What answers at .* is no admin API of a gateway \\(status ${status}\\)`),
      );
    }
  });

  test('because its URL is none', async () => {
    assert.match(await complaint('ftp://gateway'), /^2: "ftp:\/\/gateway" is no URL of an admin API/);
  });
});
