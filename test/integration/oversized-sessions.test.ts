import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { runCli } from '../../cli/program.ts';
import { RecordingTerminal } from '../../cli/testing/recording-terminal.ts';
import { eventually } from '../services/eventually.ts';
import { SmallInstallation } from '../services/small-installation.ts';

const BIG = 'x'.repeat(3_000);

describe('a session over the size limit', () => {
  let installation: SmallInstallation;
  let server = '';
  let sessionId = '';
  before(async () => {
    installation = await SmallInstallation.start({ agents: { limits: { session: '2KiB' } } });
    const visitor = installation.visitor();
    const first = await visitor.post('/cart/tea');
    server = first.server ?? '';
    sessionId = visitor.sessionId;
    for (let i = 0; i < 3; i++) {
      const visit = await visitor.post(`/cart/${BIG}`);
      assert.deepEqual([visit.status, visit.server], [200, server], 'it is served all the same');
    }
  });
  after(() => installation[Symbol.asyncDispose]());

  test('is counted by the agent and by the gateway whose answers it got', async () => {
    const agent = await eventually('the agent answers', async () => {
      const { agent } = await installation.backend(server);
      return agent.state === 'ok' && agent;
    });
    assert.deepEqual([agent.sessions, agent.unprotected], [1, 1]);
    const { gateway } = await installation.status();
    assert.equal((gateway as { unprotected: number }).unprotected, 3);
  });

  test('is logged once, by its key and with the reason', () => {
    const lines = installation.server(server).log.matching(/unprotected/);
    assert.deepEqual(
      lines.map((line) => [line.level, line['stickshift.session.key'], line.reason]),
      [[40, installation.keyOf(sessionId), 'too-large']],
    );
  });

  test('is shown as unprotected in stickshift status, in words and in JSON', async () => {
    const { status, stdout } = await stickshift('status');
    assert.equal(status, 0);
    assert.match(stdout, /UNPROTECTED/);
    assert.match(
      stdout,
      new RegExp(`${server}: 1 session too large or not readable; lost when this server stops`),
    );
    const { stdout: json } = await stickshift('status', '--json');
    const { pools } = JSON.parse(json) as {
      pools: { backends: { id: string; agent: { unprotected: number } }[] }[];
    };
    assert.equal(pools[0]?.backends.find(({ id }) => id === server)?.agent.unprotected, 1);
  });

  test('is what a drain says that it could not save, with exit status 1', async () => {
    const { status, stdout } = await stickshift('drain', server, '--deadline', '200ms', '--wait', '--json');
    assert.equal(status, 1);
    const { drain } = JSON.parse(stdout) as { drain: Record<string, unknown> };
    assert.deepEqual([drain.state, drain.remaining, drain.unprotected], ['incomplete', 1, 1]);
    const words = await stickshift('status');
    const note = `${server}: NOT drained .*1 session cannot be saved \\(too large or not readable\\)`;
    assert.match(words.stdout, new RegExp(note));
    await eventually(
      'the log says so',
      () => installation.gatewayLog.matching(/drain is incomplete/).length === 1,
    );
    const [line] = installation.gatewayLog.matching(/drain is incomplete/);
    assert.deepEqual([line?.remaining, line?.unprotected], [1, 1]);
  });

  async function stickshift(...args: string[]) {
    const terminal = new RecordingTerminal({ env: { STICKSHIFT_ADMIN_URL: installation.gateway.adminUrl } });
    const status = await runCli(args, terminal);
    return { status, stdout: terminal.stdout, stderr: terminal.stderr };
  }
});
