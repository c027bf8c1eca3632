import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, truncateSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { stringify } from 'yaml';
import type { ConfigInput } from '../../config/schema.ts';
import { findPorts } from '../../demo/ports.ts';
import {
  AGENT_API,
  type AgentReadiness,
  type AgentStatus,
  type CommitAnswer,
  type CommitDurability,
  type SessionCommit,
} from '../../protocol/agent-api.ts';
import { deriveSecrets } from '../../protocol/secrets.ts';
import { eventually } from '../services/eventually.ts';
import { writeAsPhp } from '../services/php-session-file.ts';
import { localRedisRequirement } from '../services/redis.ts';
import { type LocalRedis, startLocalRedis } from '../services/redis-process.ts';
import { ServiceProcess } from './fixtures/service-process.ts';

const STICKSHIFT = join(import.meta.dirname, '..', '..', 'bin', 'stickshift.js');
const SECRET = 'a secret of the tests, long enough to be one';
const BACKEND = 'php-1';
const SERVE: CommitDurability = { mode: 'ack', onStoreDown: 'serve' };
const REFUSE: CommitDurability = { mode: 'ack', onStoreDown: 'refuse' };
/** Redis writes each command to its disk before it answers. */
const PERSISTENT = ['--appendonly', 'yes', '--appendfsync', 'always'];
const COMMIT_TIMEOUT_MS = 5_000;

/** An agent beside a directory of session files, and a Redis. The test is the app, and the gateway. */
class AgentWithFiles {
  readonly redis: LocalRedis;
  readonly agent: ServiceProcess;
  readonly journal: string;
  readonly #directory: string;
  readonly #url: string;

  private constructor(directory: string, redis: LocalRedis, port: number, fileSize: number | undefined) {
    this.#directory = directory;
    this.#url = `http://127.0.0.1:${port}`;
    this.redis = redis;
    this.journal = join(directory, 'journal');
    const args = [STICKSHIFT, 'agent', BACKEND, '--config', join(directory, 'stickshift.yaml')];
    const limited = `trap '' XFSZ; ulimit -f ${fileSize}; exec "$0" "$@"`;
    this.agent = new ServiceProcess({
      ...(fileSize === undefined
        ? { command: process.execPath, args }
        : { command: 'sh', args: ['-c', limited, process.execPath, ...args] }),
      env: {},
      url: this.#url + AGENT_API.health,
    });
  }

  /** @param options.fileSize - the agent's disk is full when a file has so many blocks of 512 bytes */
  static async start(options: { readonly fileSize?: number } = {}): Promise<AgentWithFiles> {
    const directory = await mkdtemp(join(tmpdir(), 'stickshift-durability-'));
    const redis = await startLocalRedis({ args: PERSISTENT });
    const [port = 0] = await findPorts(1);
    const installation = new AgentWithFiles(directory, redis, port, options.fileSize);
    const config: ConfigInput = {
      secret: SECRET,
      store: { url: redis.url, commandTimeout: '5s', settle: '2s' },
      pools: {
        shop: {
          session: { cookie: 'PHPSESSID' },
          backends: { [BACKEND]: { url: 'http://127.0.0.1:9', agent: `http://127.0.0.1:${port}` } },
        },
      },
      agents: {
        [BACKEND]: {
          pool: 'shop',
          listen: `127.0.0.1:${port}`,
          source: { type: 'files', directory: join(directory, 'sessions') },
          journal: { directory: installation.journal },
        },
      },
    };
    await mkdir(join(directory, 'sessions'));
    await writeFile(join(directory, 'stickshift.yaml'), stringify(config));
    await installation.startAgent();
    return installation;
  }

  async startAgent(): Promise<void> {
    await this.agent.start();
    await eventually('the agent is ready', async () => (await this.readiness()).ready);
  }

  async readiness(): Promise<AgentReadiness> {
    return (await (await fetch(this.#url + AGENT_API.ready)).json()) as AgentReadiness;
  }

  async status(): Promise<AgentStatus> {
    const response = await fetch(this.#url + AGENT_API.status, { headers: authorization() });
    return (await response.json()) as AgentStatus;
  }

  async commit(sessionId: string, durability: CommitDurability, timeoutMs = COMMIT_TIMEOUT_MS) {
    const body = { backend: BACKEND, sessionIds: [sessionId], timeoutMs, durability };
    const answer = (await this.#post(AGENT_API.commit, body)) as CommitAnswer;
    return answer.sessions[0] as SessionCommit;
  }

  /** What the app finds after the session has been brought back from the store. */
  async restored(sessionId: string, epoch: number): Promise<string | undefined> {
    const body = { backend: BACKEND, sessionId, ifEpoch: epoch, reason: 'unowned' };
    await this.#post(AGENT_API.adopt, body);
    const file = this.#file(sessionId);
    return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
  }

  async write(sessionId: string, text: string): Promise<void> {
    await writeAsPhp(this.#file(sessionId), Buffer.from(text));
  }

  /** The machine dies, and its disk with it, but for the journal. */
  async loseMachine(): Promise<void> {
    await this.agent.kill();
    const sessions = join(this.#directory, 'sessions');
    for (const name of readdirSync(sessions)) await rm(join(sessions, name));
  }

  async stop(): Promise<void> {
    await this.agent.kill();
    await this.redis.stop();
    await rm(this.#directory, { recursive: true, force: true });
  }

  #file(sessionId: string): string {
    return join(this.#directory, 'sessions', `sess_${sessionId}`);
  }

  async #post(path: string, body: unknown): Promise<unknown> {
    const response = await fetch(this.#url + path, {
      method: 'POST',
      headers: { ...authorization(), 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    assert.equal(response.status, 200, await response.clone().text());
    return response.json();
  }
}

function authorization() {
  return { authorization: `Bearer ${deriveSecrets(SECRET).agentToken}` };
}

describe('an agent whose Redis is killed', localRedisRequirement(), () => {
  let installation: AgentWithFiles;

  beforeEach(async () => {
    installation = await AgentWithFiles.start();
  });
  afterEach(() => installation.stop());

  test('acknowledges from its journal, and commits that after it was killed itself and has lost everything else', async () => {
    const { redis, agent } = installation;
    await installation.write('alice', 'one pear');
    assert.partialDeepStrictEqual(await installation.commit('alice', REFUSE), { outcome: 'committed' });
    await redis.kill();
    await installation.write('alice', 'two pears');
    await installation.write('bob', 'a plum');
    assert.equal((await installation.commit('alice', REFUSE, 500)).outcome, 'unknown');
    assert.equal((await installation.commit('alice', SERVE)).outcome, 'journaled');
    assert.equal((await installation.commit('bob', SERVE)).outcome, 'journaled');
    assert.partialDeepStrictEqual(await installation.status(), { atRisk: 2, dirty: 2, store: 'unreachable' });

    await installation.loseMachine();
    await agent.start();
    await eventually('it says why it is not ready', async () => !(await installation.readiness()).ready);
    await redis.restart();
    await eventually('it is ready', async () => (await installation.readiness()).ready);
    const { journal, atRisk } = await installation.status();
    assert.deepEqual(
      { replayed: journal.replayed, lost: journal.lostAtTakeover, atRisk },
      { replayed: 2, lost: 0, atRisk: 0 },
    );
    await eventually(
      'the store has settled',
      async () => (await installation.restored('alice', 1)) !== undefined,
    );
    assert.equal(await installation.restored('alice', 1), 'two pears');
    assert.equal(await installation.restored('bob', 1), 'a plum');
  });

  test('gives an empty one all its sessions back', async () => {
    const { redis } = installation;
    for (const id of ['alice', 'bob', 'carol']) {
      await installation.write(id, `cart of ${id}`);
      assert.equal((await installation.commit(id, REFUSE)).outcome, 'committed');
    }
    await redis.restart({ empty: true });
    await eventually('everything is written again', async () => (await installation.status()).reseeded === 3);
    await installation.loseMachine();
    await installation.startAgent();
    await eventually(
      'the store has settled',
      async () => (await installation.restored('bob', 1)) !== undefined,
    );
    assert.equal(await installation.restored('bob', 1), 'cart of bob');
  });

  test('loses no more than the last entry of a journal that was cut off', async () => {
    const { redis, agent, journal } = installation;
    await redis.kill();
    for (const id of ['alice', 'bob']) {
      await installation.write(id, `cart of ${id}`);
      assert.equal((await installation.commit(id, SERVE)).outcome, 'journaled');
    }
    await installation.loseMachine();
    const file = join(journal, 'journal');
    truncateSync(file, readFileSync(file).length - 20);
    await redis.restart();
    await installation.startAgent();
    assert.match(agent.output, /cut off in the middle/);
    await eventually(
      'the store has settled',
      async () => (await installation.restored('alice', 1)) !== undefined,
    );
    assert.equal(await installation.restored('alice', 1), 'cart of alice');
  });
});

describe('an agent whose disk is full while Redis is away', localRedisRequirement(), () => {
  let installation: AgentWithFiles;

  beforeEach(async () => {
    installation = await AgentWithFiles.start({ fileSize: 8 });
  });
  afterEach(() => installation.stop());

  test('acknowledges nothing, goes on, and commits when Redis is back', async () => {
    const { redis } = installation;
    await installation.write('alice', 'one pear');
    assert.equal((await installation.commit('alice', REFUSE)).outcome, 'committed');
    await redis.kill();
    const large = Array.from({ length: 8_000 }, () => Math.random().toString(36).slice(-1)).join('');
    await installation.write('alice', large);
    assert.deepEqual(await installation.commit('alice', SERVE, COMMIT_TIMEOUT_MS), {
      outcome: 'unknown',
      code: 'JOURNAL_FAILED',
    });
    assert.ok((await installation.status()).journal.failures > 0);
    await redis.restart();
    assert.equal((await installation.commit('alice', SERVE)).outcome, 'committed');
  });
});
