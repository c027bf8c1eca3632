import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { parse } from 'yaml';
import type { ConfigInput } from '../../config/schema.ts';
import { isAlive } from '../../demo/process-alive.ts';
import type {
  SessionLookupAnswer,
  StateAnswer,
  StatusAnswer,
} from '../../gateway/admin-api/admin-api-types.ts';
import { METRIC } from '../../protocol/telemetry-names.ts';
import { eventually } from '../services/eventually.ts';
import { RawClient } from '../services/raw-client.ts';
import { type DemoIsUp, type Ended, StickshiftCommand } from './demo-process.ts';

let demo: StickshiftCommand;
let up: DemoIsUp;
let configFile: string;
before(async () => {
  demo = await StickshiftCommand.start(['demo', '--json', '--port', '0', '--admin-port', '0']);
  up = await demo.firstLine();
  configFile = join(up.stateDirectory, 'stickshift.yaml');
});
after(() => demo.dispose());

/** A command as somebody types it who has only the configuration file. */
const stickshift = (...args: string[]): Promise<Ended> => demo.alongside(...args, '--config', configFile);

async function json<Answer>(...args: string[]): Promise<Answer> {
  const { status, stdout, stderr } = await stickshift(...args, '--json');
  assert.deepEqual([status, stderr], [0, '']);
  assert.equal(stdout.trimEnd().split('\n').length, 1, 'one line, for scripts');
  return JSON.parse(stdout) as Answer;
}

/** Puts something into a cart of one's own; returns the server that holds it and the session's cookie. */
async function fillCart(): Promise<{ server: string; cookie: string; sessionId: string }> {
  const answer = await fetch(`${up.gatewayUrl}/api/cart/items`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ id: 'tea', name: 'Tea' }),
  });
  assert.ok(answer.ok);
  const { server } = (await answer.json()) as { server: string };
  const cookie = answer.headers
    .getSetCookie()
    .map((line) => line.split(';')[0])
    .join('; ');
  const value = decodeURIComponent(/connect\.sid=([^;]+)/.exec(cookie)?.[1] ?? '');
  return { server, cookie, sessionId: value.slice(2, value.lastIndexOf('.')) };
}

async function cartOf(cookie: string): Promise<{ server: string; items: string[] }> {
  const answer = await fetch(`${up.gatewayUrl}/api/cart`, { headers: { cookie } });
  assert.equal(answer.status, 200);
  const { server, cart } = (await answer.json()) as { server: string; cart: { id: string }[] };
  return { server, items: cart.map(({ id }) => id) };
}

describe('stickshift, against a running installation,', () => {
  test('status shows every backend, in words and in JSON', async () => {
    const { status, stdout, stderr } = await stickshift('status');
    assert.deepEqual([status, stderr], [0, '']);
    assert.match(stdout, /^Gateway at http:\S+: ready, running for .*; 3 of 3 backends up$/m);
    for (const id of ['app-1', 'app-2', 'app-3']) {
      assert.match(stdout, new RegExp(`^shop +${id} +ready +up +\\d+ +\\d+ +\\d+ +0 `, 'm'));
    }
    const answer = await json<StatusAnswer>('status');
    assert.equal(answer.ready, true);
    assert.deepEqual(
      answer.pools.map(({ name, accepting }) => [name, accepting]),
      [['shop', 3]],
    );
    await eventually('every agent has answered in time', async () => {
      const { pools } = await json<StatusAnswer>('status');
      const agents = pools.flatMap(({ backends }) => backends.map(({ agent }) => agent));
      return (
        agents.length === 3 &&
        agents.every((agent) => agent.state === 'ok' && agent.ready && agent.store === 'ok')
      );
    });
  });

  test('session finds a session by its ID, its cookie and its key', async () => {
    const { server, sessionId, cookie } = await fillCart();
    const byId = await json<SessionLookupAnswer>('session', sessionId);
    assert.deepEqual([byId.owner, byId.pool, byId.state, byId.epoch], [server, 'shop', 'active', 1]);
    const value = decodeURIComponent(/connect\.sid=([^;]+)/.exec(cookie)?.[1] ?? '');
    assert.equal((await json<SessionLookupAnswer>('session', value)).key, byId.key);
    assert.equal((await json<SessionLookupAnswer>('session', byId.key)).owner, server);

    const words = await stickshift('session', sessionId);
    assert.match(words.stdout, new RegExp(`^Owner +${server}$`, 'm'));
    assert.match(words.stdout, /^Snapshot +[\d.]+ \w+ sealed, committed .* ago$/m);
    const unknown = await stickshift('session', 'of-nobody');
    assert.deepEqual([unknown.status, unknown.stdout], [1, '']);
    assert.match(unknown.stderr, /no record of this session/);
    assert.equal((await stickshift('session', 'of-nobody', '--json')).stdout, 'null\n');
  });

  test('drain --wait returns when every session has moved, and ready lets newcomers in again', async () => {
    const carts = await Promise.all(Array.from({ length: 9 }, fillCart));
    const drained = carts[0]?.server ?? '';
    const { status, stdout } = await stickshift('drain', drained, '--wait', '--deadline', '20s');
    assert.equal(status, 0);
    assert.match(
      stdout,
      new RegExp(
        `^${drained}: drained in .*saved and released.*It can be stopped\\. \\(gateway at http:\\S+\\)$`,
        'm',
      ),
    );

    const { pools } = await json<StatusAnswer>('status');
    const backend = pools[0]?.backends.find(({ id }) => id === drained);
    assert.deepEqual(
      [backend?.adminState, backend?.accepting, backend?.drain?.state],
      ['drain', false, 'complete'],
    );
    assert.match((await stickshift('status')).stdout, new RegExp(`${drained}: drained in`));
    for (const { cookie } of carts) {
      const { server, items } = await cartOf(cookie);
      assert.notEqual(server, drained);
      assert.deepEqual(items, ['tea']);
    }

    const ready = await json<StateAnswer>('ready', drained);
    assert.deepEqual([ready.adminState, ready.drain], ['ready', undefined]);
    const newcomers = await Promise.all(Array.from({ length: 30 }, fillCart));
    assert.ok(newcomers.some(({ server }) => server === drained));
  });

  test('maintenance moves everybody at once', async () => {
    const { server, cookie } = await fillCart();
    const answer = await json<StateAnswer>('maintenance', server, '--wait');
    assert.deepEqual(
      [answer.adminState, answer.drain?.state, answer.drain?.remaining],
      ['maintenance', 'complete', 0],
    );
    assert.notEqual((await cartOf(cookie)).server, server);
    const { status, stdout } = await stickshift('ready', server);
    assert.deepEqual([status, stdout], [0, `${server} is ready. (gateway at ${up.adminUrl})\n`]);
  });

  test('says with status 1 and a word of advice what is not there', async () => {
    for (const command of ['drain', 'ready', 'maintenance']) {
      const { status, stderr } = await stickshift(command, 'app-9');
      assert.equal(status, 1);
      assert.match(stderr, /no backend "app-9"; there are: app-1 .*app-2 .*app-3/);
    }
    const nobody = await demo.alongside('status', '--admin', 'http://127.0.0.1:9');
    assert.equal(nobody.status, 1);
    assert.match(nobody.stderr, /127\.0\.0\.1:9/);
  });

  test('tells what is no gateway from one, and from a session that is not there', async () => {
    const { agents } = parse(await readFile(configFile, 'utf8')) as ConfigInput;
    for (const url of [up.gatewayUrl, `http://${agents?.['app-1']?.listen}`]) {
      for (const args of [['status'], ['session', 'of-nobody', '--json'], ['drain', 'app-1']]) {
        const { status, stdout, stderr } = await demo.alongside(...args, '--admin', url);
        assert.deepEqual([status, stdout], [1, '']);
        assert.match(
          stderr,
          /^What answers at \S+ is no admin API of a gateway \(status 40[14]\): set --admin/,
        );
      }
    }
  });

  test('config check passes the file that runs it, and names what is wrong with another', async () => {
    const good = await demo.alongside('config', 'check', configFile, '--json');
    assert.deepEqual([good.status, (JSON.parse(good.stdout) as { valid: boolean }).valid], [0, true]);

    const text = await readFile(configFile, 'utf8');
    const badFile = join(demo.directory, 'bad.yaml');
    await writeFile(badFile, text.replace('drain:', 'drian:'));
    const bad = await demo.alongside('config', 'check', badFile);
    assert.equal(bad.status, 2);
    assert.match(bad.stderr, /bad\.yaml:\d+:\d+.*drian.*drain/);
    const badJson = await demo.alongside('config', 'check', badFile, '--json');
    assert.equal(badJson.status, 2);
    assert.equal((JSON.parse(badJson.stdout) as { valid: boolean }).valid, false);
    const { secret } = parse(text) as ConfigInput;
    assert.ok(![good, bad, badJson].some(({ stdout, stderr }) => (stdout + stderr).includes(secret)));

    for (const role of [['gateway'], ['agent', 'app-1']]) {
      const refused = await demo.alongside(...role, '--config', badFile);
      assert.equal(refused.status, 2, 'and with it nothing starts');
      assert.match(refused.stderr, /drian/);
    }
  });
});

test('npm start ends with everything that it has started when it is told to', async (t) => {
  // As in the checkout, but for what the demo leaves in its working directory: somebody's may be running there.
  const checkout = join(import.meta.dirname, '..', '..');
  const directory = await mkdtemp(join(tmpdir(), 'stickshift-start-'));
  t.after(() => rm(directory, { recursive: true }));
  await copyFile(join(checkout, 'package.json'), join(directory, 'package.json'));
  await symlink(join(checkout, 'bin'), join(directory, 'bin'));

  const npm = spawn('npm', ['start', '--silent', '--', '--json', '--port', '0', '--admin-port', '0'], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(npm, 'exit');
  const [line] = (await Promise.race([
    once(createInterface({ input: npm.stdout }), 'line'),
    ended.then(() => assert.fail('it ended before it was up')),
  ])) as [string];
  const pids = Object.values((JSON.parse(line) as DemoIsUp).processes);
  t.after(() => {
    for (const pid of pids.filter(isAlive)) process.kill(pid, 'SIGKILL');
  });
  assert.equal(pids.length, 7);
  npm.kill('SIGTERM');
  await ended;
  await eventually('all of them are gone', () => !pids.some(isAlive));
});

describe('/metrics', () => {
  test('of gateway and agents are Prometheus’, with every metric there is and no session in them', async () => {
    const { cookie, sessionId } = await fillCart();
    const { key } = await json<SessionLookupAnswer>('session', sessionId);
    await fetch(up.gatewayUrl, {
      headers: { cookie: `${cookie}; stickshift=forged; connect.sid=s%3Aanother.x` },
    });
    await fetch(up.gatewayUrl, { headers: { cookie: 'stickshift=forged' } });
    const client = await RawClient.connect(Number(new URL(up.gatewayUrl).port));
    client.send('GET / HTTP/1.1\r\n\r\n');
    await client.until(() => client.closed);
    assert.deepEqual(
      client.responses().messages.map(({ status }) => status),
      [400],
    );

    const { agents } = parse(await readFile(configFile, 'utf8')) as ConfigInput;
    const texts = new Map<string, string>();
    texts.set('gateway', await metricsAt(up.adminUrl));
    for (const [name, agent] of Object.entries(agents ?? {}))
      texts.set(name, await metricsAt(`http://${agent.listen}`));

    for (const [name, text] of texts) {
      assert.ok(!text.includes(sessionId) && !text.includes(key), `${name} shows no session`);
      assert.ok(!/session_?(id|key)="/.test(text));
      for (const line of text.trimEnd().split('\n')) {
        assert.match(line, /^(# .*|[a-z_]+(\{([a-z_]+="[^"]*",?)*\})? -?[\d.e+]+( \d+)?)$/);
      }
    }
    for (const name of Object.values(METRIC)) {
      // The demo has no certificates.
      if (name === METRIC.certificateLeft) continue;
      const series = name.replaceAll('.', '_');
      const where = name.startsWith('stickshift.gateway.') ? 'gateway' : 'app-1';
      assert.match(
        texts.get(where) ?? '',
        new RegExp(`^${series}(_total)?(\\{.*\\})? `, 'm'),
        `${where} has ${series}`,
      );
    }
    assert.match(texts.get('gateway') ?? '', /^stickshift_gateway_backend_up\{.*backend="app-2".*\} 1/m);
    assert.match(texts.get('gateway') ?? '', /^stickshift_gateway_moves_total\{.*reason="drain".*\} [1-9]/m);
    await eventually('the agents own sessions', async () => {
      const now = await Promise.all(
        Object.values(agents ?? {}).map(({ listen }) => metricsAt(`http://${listen}`)),
      );
      return now.some((text) => /^stickshift_agent_sessions(\{.*\})? [1-9]/m.test(text));
    });
  });

  async function metricsAt(url: string): Promise<string> {
    const answer = await fetch(`${url}/metrics`);
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get('content-type') ?? '', /^text\/plain/);
    return answer.text();
  }
});
