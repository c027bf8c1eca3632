import assert from 'node:assert/strict';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { StickshiftError } from '../../protocol/errors.ts';
import { listBackends, performDeed } from './control-client.ts';
import { type BackendView, type ControlServer, type Deed, startControlServer } from './control-server.ts';
import { type DemoState, findDemo, removeDemoState, writeDemoState } from './state-file.ts';

const APP_1: BackendView = { id: 'app-1', state: 'up', sessions: 2, inFlight: 0 };
const TOKEN = 'token of the tests';

describe('the demo’s control server', () => {
  const done: string[] = [];
  const lateErrors: string[] = [];
  let noticed = Promise.withResolvers<void>();
  let control: ControlServer;
  let directory: string;
  let state: DemoState;

  before(async () => {
    control = await startControlServer({
      token: TOKEN,
      deeds: {
        backends: async () => [APP_1],
        async perform(deed: Deed, id: string) {
          if (id !== 'app-1') throw new StickshiftError('NOT_FOUND', `no server ${id}`);
          done.push(`${deed} ${id}`);
          noticed.resolve();
        },
      },
      onLateError: (error) => {
        lateErrors.push(error.message);
        noticed.resolve();
      },
    });
    directory = await mkdtemp(join(tmpdir(), 'stickshift-control-'));
    state = {
      pid: process.pid,
      gatewayUrl: 'http://127.0.0.1:8080',
      adminUrl: 'http://127.0.0.1:8081',
      controlUrl: control.url,
      controlToken: TOKEN,
      stateDirectory: directory,
    };
    await writeDemoState(directory, state);
  });
  beforeEach(() => {
    done.length = 0;
    lateErrors.length = 0;
    noticed = Promise.withResolvers();
  });
  after(async () => {
    await control.close();
    await rm(directory, { recursive: true, force: true });
  });

  const post = (path: string, body = '', token = TOKEN) =>
    fetch(`${control.url}${path}`, { method: 'POST', headers: { authorization: `Bearer ${token}` }, body });

  test('is found through the state file, lists the servers and does what it is told', async () => {
    assert.deepEqual(await listBackends(directory), [APP_1]);
    await performDeed('kill', 'app-1', directory);
    assert.deepEqual(done, ['kill app-1']);
  });

  test('passes on why something could not be done', async () => {
    await assert.rejects(performDeed('kill', 'app-9', directory), {
      code: 'NOT_FOUND',
      message: 'no server app-9',
    });
  });

  test('does nothing for whoever lacks the token', async () => {
    assert.equal((await post('/backends/app-1/kill', '', 'another')).status, 401);
    assert.deepEqual(done, []);
  });

  test('answers a postponed deed at once and does it later, or reports that it failed', async () => {
    assert.equal((await post('/backends/app-1/kill', '{"afterMs":1}')).status, 202);
    await noticed.promise;
    assert.deepEqual(done, ['kill app-1']);
    noticed = Promise.withResolvers();
    assert.equal((await post('/backends/app-9/kill', '{"afterMs":1}')).status, 202);
    await noticed.promise;
    assert.deepEqual(lateErrors, ['no server app-9']);
  });

  for (const [what, path, body, status] of [
    ['an unknown deed', '/backends/app-1/paint', '', 404],
    ['a server that there is not', '/backends/%zz/kill', '', 404],
    ['a body that is not JSON', '/backends/app-1/kill', '{', 400],
    ['a body that is null', '/backends/app-1/kill', 'null', 400],
    ['a delay that is no delay', '/backends/app-1/kill', '{"afterMs":-1}', 400],
    ['a long body', '/backends/app-1/kill', ' '.repeat(5000), 400],
  ] as const) {
    test(`refuses ${what}`, async () => {
      assert.equal((await post(path, body)).status, status);
      assert.deepEqual(done, []);
    });
  }
});

describe('the demo’s state file', () => {
  test('is readable by its owner alone, and is nobody’s demo once its process is gone', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'stickshift-state-'));
    const state = {
      pid: process.pid,
      gatewayUrl: '',
      adminUrl: '',
      controlUrl: '',
      controlToken: 'secret',
      stateDirectory: directory,
    };
    await writeDemoState(directory, state);
    assert.deepEqual(await findDemo(directory), state);
    const { mode } = await stat(join(directory, '.stickshift', 'demo.json'));
    assert.equal(mode & 0o777, 0o600);

    await removeDemoState(directory, process.pid + 1);
    assert.deepEqual(await findDemo(directory), state, 'another demo’s file stays');

    // No process has this ID: it is above every system's limit.
    await writeDemoState(directory, { ...state, pid: 2 ** 30 });
    await assert.rejects(findDemo(directory), { code: 'NOT_FOUND', message: /no demo was started in/ });
    await rm(directory, { recursive: true, force: true });
  });
});
