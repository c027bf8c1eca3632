import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { SessionLookupAnswer } from '../../gateway/admin-api/admin-api-types.ts';
import type { SessionKey } from '../../protocol/session-key.ts';
import { runCli } from '../program.ts';
import { RecordingTerminal } from '../testing/recording-terminal.ts';
import { refusal, startScriptedGateway } from '../testing/scripted-gateway.ts';
import { formatRecord } from './session.ts';

const record: SessionLookupAnswer = {
  key: 'k'.repeat(43) as SessionKey,
  pool: 'shop',
  state: 'active',
  owner: 'app-2',
  epoch: 3,
  seq: 17,
  size: 1_229,
  ageMs: 4_000,
  expiresAt: 1_381_000,
};

describe('stickshift session', () => {
  test('shows the record in words', () => {
    assert.equal(
      formatRecord(record, 1_000),
      `Session key  ${'k'.repeat(43)}
Pool         shop
State        active
Owner        app-2
Epoch        3
Seq          17
Snapshot     1.2 KiB sealed, committed 4.0 s ago
Expires      in 23 min
`,
    );
    assert.match(formatRecord({ ...record, state: 'ended' }, 1_000), /ended \(logged out\)/);
  });

  test('sends the ID in the body, never in a URL, and takes it from standard input for "-"', async () => {
    await using gateway = await startScriptedGateway(() => [200, record]);
    const terminal = new RecordingTerminal({ input: 's:abc.def\n' });
    assert.equal(await runCli(['session', '-', '--admin', gateway.url, '--json'], terminal), 0);
    assert.deepEqual(JSON.parse(terminal.stdout), record);
    const [request] = gateway.requests;
    assert.equal(request?.path, '/v1/sessions/lookup');
    assert.deepEqual(request?.body, { session: 's:abc.def' });
  });

  test('takes an ID that begins with a dash for an ID, and nothing else', async () => {
    await using gateway = await startScriptedGateway(() => [200, record]);
    const lookUp = async (...args: string[]) => {
      const terminal = new RecordingTerminal();
      return [
        await runCli(['session', `--admin=${gateway.url}`, ...args], terminal),
        terminal.stderr,
      ] as const;
    };
    const ids = [
      '-of.a~Java-app+with_padding==.node1',
      '-7KpGQkeR2YujxdDIrhwNkIiYUlNFIQglm8Sg849h4Y',
      `-h${'x'.repeat(30)}`,
      `-V${'x'.repeat(30)}`,
    ];
    for (const id of ids) {
      for (const args of [[id], [id, '--json'], ['--pool', 'shop', id], ['--', id]]) {
        assert.deepEqual(await lookUp(...args), [0, '']);
        assert.partialDeepStrictEqual(gateway.requests.at(-1), { body: { session: id } });
      }
    }
    assert.deepEqual(await lookUp('--', '-abc'), [0, '']);
    assert.partialDeepStrictEqual(gateway.requests.at(-1), { body: { session: '-abc' } });
    const [status, message] = await lookUp('--jsno', 'abc');
    assert.equal(status, 2);
    assert.match(message, /unknown option '--jsno'/);
  });

  test('ends with status 1 when the store has no record', async () => {
    await using gateway = await startScriptedGateway(() => [404, refusal('NOT_FOUND', 'no record')]);
    const terminal = new RecordingTerminal();
    assert.equal(await runCli(['session', 'abc', '--admin', gateway.url], terminal), 1);
    assert.match(terminal.stderr, /The store has no record of this session/);
    const json = new RecordingTerminal();
    assert.equal(await runCli(['session', 'abc', '--json', '--admin', gateway.url], json), 1);
    assert.equal(json.stdout, 'null\n');
  });

  test('does not take a 404 of something else for "absent"', async () => {
    for (const [answer, health] of [
      [{ error: 'Not Found' }, { alive: true }],
      [refusal('NO_POOL', 'No application is served at this address.'), { alive: true }],
      [refusal('NOT_FOUND', 'there is no such path'), { status: 'ok' }],
    ] as const) {
      await using gateway = await startScriptedGateway(() => [404, answer], { health });
      const terminal = new RecordingTerminal();
      assert.equal(await runCli(['session', 'abc', '--json', '--admin', gateway.url], terminal), 1);
      assert.equal(terminal.stdout, '');
      assert.doesNotMatch(terminal.stderr, /no record/);
    }
  });

  test('does not take "cannot tell" for "absent"', async () => {
    await using gateway = await startScriptedGateway(() => [503, refusal('STORE_UNREACHABLE', 'no store')]);
    const terminal = new RecordingTerminal();
    assert.equal(await runCli(['session', 'abc', '--json', '--admin', gateway.url], terminal), 1);
    assert.equal(terminal.stdout, '');
    assert.equal(terminal.stderr, 'The gateway answers STORE_UNREACHABLE: no store\n');
  });
});
