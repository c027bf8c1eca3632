import assert from 'node:assert/strict';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, type TestContext, test } from 'node:test';
import { pino } from 'pino';
import { findPorts } from '../../../demo/ports.ts';
import { StickshiftError } from '../../../protocol/errors.ts';
import { RecordingListener } from '../../../test/contract/session-source/recording-listener.ts';
import { eventually } from '../../../test/services/eventually.ts';
import { LinkPeer } from '../../../test/services/link-peer.ts';
import { createExpressSource, type ExpressSourceOptions } from './express-source.ts';

const logger = pino({ level: 'silent' });
const directory = await mkdtemp(join(tmpdir(), 'stickshift-source-'));
after(() => rm(directory, { recursive: true, force: true }));

const LATER = Date.now() + 3_600_000;
const failed = { code: 'SOURCE_FAILED' };
let sockets = 0;
const newPath = () => join(directory, `${++sockets}.sock`);

function sourceAt(listen: string, options: Partial<ExpressSourceOptions> = {}) {
  return createExpressSource({ listen, token: 'agent-token', backend: 'app-1', logger, ...options });
}

async function started(t: TestContext, options: Partial<ExpressSourceOptions> = {}) {
  const path = newPath();
  const source = sourceAt(path, options);
  const listener = new RecordingListener();
  await source.start(listener);
  t.after(() => source.stop());
  return { source, listener, address: { path } };
}

describe('where an express source listens', () => {
  test('the socket is for its user and group, and goes when the source stops', async (t) => {
    const { source, address } = await started(t);
    assert.equal((await stat(address.path)).mode & 0o777, 0o660);
    await source.stop();
    await assert.rejects(stat(address.path), { code: 'ENOENT' });
  });

  test('a socket that a killed agent has left is replaced', async (t) => {
    const path = newPath();
    const { execFileSync } = await import('node:child_process');
    const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    assert.throws(() => execFileSync(process.execPath, ['--eval', script]));
    assert.ok((await stat(path)).isSocket());
    const source = sourceAt(path);
    await source.start(new RecordingListener());
    t.after(() => source.stop());
    using peer = await LinkPeer.attached({ path });
    assert.equal((await peer.hears('welcome')).backend, 'app-1');
  });

  test('a socket at which another agent answers is left alone', async (t) => {
    const { address } = await started(t);
    await assert.rejects(sourceAt(address.path).start(new RecordingListener()), { code: 'PORT_IN_USE' });
    using _peer = await LinkPeer.attached(address);
  });

  test('a file that is no socket is left alone', async () => {
    const path = newPath();
    await writeFile(path, 'precious');
    await assert.rejects(sourceAt(path).start(new RecordingListener()), { code: 'PORT_IN_USE' });
    assert.ok((await stat(path)).isFile());
  });

  test('TCP without a token, and what is no address, are configuration errors', () => {
    const isConfiguration = (error: unknown) =>
      error instanceof StickshiftError && error.code === 'CONFIG_INVALID';
    assert.throws(() => sourceAt('0.0.0.0:9100', { token: '' }), isConfiguration);
    assert.throws(() => sourceAt('9100'), isConfiguration);
  });

  test('over TCP only the agent token opens the door', async (t) => {
    const [port = 0] = await findPorts(1);
    const source = sourceAt(`127.0.0.1:${port}`);
    const listener = new RecordingListener();
    await source.start(listener);
    t.after(() => source.stop());
    const address = { host: '127.0.0.1', port };
    for (const token of [undefined, '', 'agent-token2', 'x'.repeat(1000)]) {
      using peer = new LinkPeer(address);
      peer.say({ t: 'hello', version: 1, ...(token === undefined ? {} : { token }) });
      const { n, code } = await peer.hears('error');
      assert.deepEqual([n, code], [0, 'UNAUTHORIZED']);
      await peer.isClosed();
    }
    assert.deepEqual(listener.events, []);
    using _peer = await LinkPeer.attached(address, ['a'], 'agent-token');
    await listener.heardTimes('attached', 1);
  });
});

describe('an app that connects', () => {
  test('is attached once it has said all that it holds', async (t) => {
    const { source, listener, address } = await started(t);
    using peer = new LinkPeer(address);
    peer.say({ t: 'hello', version: 1 });
    await peer.hears('welcome');
    peer.say({ t: 'have', ids: ['a', 'b'], last: false });
    await assert.rejects(source.list(), failed);
    peer.say({ t: 'have', ids: ['c'], last: true });
    await listener.heardTimes('attached', 1);
    assert.deepEqual(await source.list(), ['a', 'b', 'c']);
  });

  test('takes the place of the one before, and what that one says no longer counts', async (t) => {
    const { source, listener, address } = await started(t);
    using former = await LinkPeer.attached(address, ['old']);
    await listener.heardTimes('attached', 1);
    using _next = await LinkPeer.attached(address, ['new']);
    await listener.heardTimes('attached', 2);
    await former.isClosed();
    assert.deepEqual(
      listener.events.map(({ what }) => what),
      ['attached', 'detached', 'attached'],
    );
    assert.deepEqual(await source.list(), ['new']);
  });

  test('does not take that place before it has said a good hello', async (t) => {
    const { source, listener, address } = await started(t);
    using _app = await LinkPeer.attached(address, ['a']);
    await listener.heardTimes('attached', 1);
    for (const line of ['{"t":"have","ids":[],"last":true}\n', 'GET / HTTP/1.1\r\n\r\n', 'x'.repeat(5_000)]) {
      using stranger = new LinkPeer(address);
      stranger.sayRaw(line);
      await stranger.isClosed();
    }
    assert.deepEqual(await source.list(), ['a']);
    assert.equal(listener.count('detached'), 0);
  });

  test('is detached when it goes, and what it held can no longer be listed', async (t) => {
    const { source, listener, address } = await started(t);
    const peer = await LinkPeer.attached(address, ['a']);
    await listener.heardTimes('attached', 1);
    peer[Symbol.dispose]();
    await listener.heardTimes('detached', 1);
    await assert.rejects(source.list(), failed);
    await assert.rejects(source.capture('a'), failed);
    await assert.rejects(source.install('a', { data: Buffer.from('{}'), idleAt: LATER }), failed);
    await assert.rejects(source.forget('a'), failed);
  });

  test('is cut off when it says what makes no sense', async (t) => {
    const { listener, address } = await started(t);
    for (const line of ['{"t":"set","n":1}\n', '{"t":"hello","version":1}\n', '\n']) {
      using peer = await LinkPeer.attached(address);
      peer.sayRaw(line);
      assert.equal((await peer.hears('error')).code, 'LINK_PROTOCOL');
      await peer.isClosed();
    }
    await listener.heardTimes('detached', 3);
  });
});

describe('what an app tells', () => {
  test('bytes that came with a change outlive the app, until they are captured', async (t) => {
    const { source, listener, address } = await started(t);
    const peer = await LinkPeer.attached(address);
    peer.say({ t: 'set', n: 1, id: 'a', data: '{"item":"tea"}', idleAt: LATER });
    await peer.hears('ok');
    peer.say({ t: 'touch', id: 'a', idleAt: LATER + 5 });
    await listener.heard('touched', 'a');
    peer[Symbol.dispose]();
    await listener.heardTimes('detached', 1);
    const captured = await source.capture('a');
    assert.equal(Buffer.from(captured?.data ?? []).toString(), '{"item":"tea"}');
    assert.equal(captured?.idleAt, LATER + 5);
    await assert.rejects(source.capture('a'), failed);
  });

  test('bytes of a session too large to be saved are not kept', async (t) => {
    const { source, address } = await started(t, { maxSession: 10, timeout: 100 });
    using peer = await LinkPeer.attached(address);
    peer.say({ t: 'set', n: 1, id: 'a', data: 'x'.repeat(11), idleAt: LATER });
    await peer.hears('ok');
    await assert.rejects(source.capture('a'), failed);
    assert.equal((await peer.hears('capture')).id, 'a');
  });

  test('a logout is answered when its tombstone stands, and nothing brings the session back', async (t) => {
    const { source, listener, address } = await started(t);
    const tombstone = Promise.withResolvers<void>();
    listener.onEnded = () => tombstone.promise;
    using peer = await LinkPeer.attached(address, ['a']);
    peer.say({ t: 'destroy', n: 1, id: 'a' });
    await listener.heard('ended', 'a');
    assert.deepEqual(await source.list(), []);
    peer.say({ t: 'set', n: 2, id: 'a', data: '{}', idleAt: LATER });
    const refusal = await peer.hears('error');
    assert.deepEqual([refusal.n, refusal.code], [2, 'ENDED']);
    assert.ok(!peer.heard.some(({ t: kind }) => kind === 'ok'));
    tombstone.resolve();
    assert.equal((await peer.hears('ok')).n, 1);
    // Refused, and told all the same: the response of the request that tried must not go out.
    assert.equal(listener.of('a', 'changed').length, 1);
    assert.equal(listener.count('ended'), 1);
  });

  test('a replaced ID is refused at once, and answered for when nothing is under way any more', async (t) => {
    const { source, listener, address } = await started(t);
    const retired = Promise.withResolvers<void>();
    listener.onReplaced = () => retired.promise;
    using peer = await LinkPeer.attached(address, ['old']);
    peer.say({ t: 'replace', n: 1, id: 'old', successor: 'new' });
    peer.say({ t: 'set', n: 2, id: 'new', data: '{}', idleAt: LATER });
    peer.say({ t: 'set', n: 3, id: 'old', data: '{}', idleAt: LATER });
    assert.deepEqual((await peer.hears('error')).n, 3);
    assert.deepEqual((await peer.hears('ok')).n, 2);
    assert.deepEqual(await source.list(), ['new']);
    assert.deepEqual(listener.of('old'), [
      { what: 'replaced', id: 'old', successor: 'new' },
      { what: 'changed', id: 'old' },
    ]);
    retired.resolve();
    assert.equal((await peer.hears('ok', 2)).n, 1);
  });

  test('a replaced ID keeps what the app told of it before, until the agent has it forgotten', async (t) => {
    const { source, listener, address } = await started(t);
    using peer = await LinkPeer.attached(address);
    peer.say({ t: 'set', n: 1, id: 'old', data: '"cart"', idleAt: LATER });
    peer.say({ t: 'replace', n: 2, id: 'old', successor: 'new' });
    await listener.heard('replaced', 'old');
    assert.equal(Buffer.from((await source.capture('old'))?.data ?? []).toString(), '"cart"');
  });

  test('an ID that is good again after all can be put in and changed', async (t) => {
    const { source, listener, address } = await started(t);
    using peer = await LinkPeer.attached(address, ['old']);
    peer.say({ t: 'replace', n: 1, id: 'old', successor: 'new' });
    await peer.hears('ok');
    const installing = source.install('old', { data: Buffer.from('"cart"'), idleAt: LATER });
    peer.say({ t: 'ok', n: (await peer.hears('install')).n });
    await installing;
    peer.say({ t: 'set', n: 2, id: 'old', data: '"tea"', idleAt: LATER });
    await listener.heard('changed', 'old');
    assert.equal((await peer.hears('ok', 2)).n, 2);
  });

  test('a logout whose tombstone does not stand is answered with the reason', async (t) => {
    const { listener, address } = await started(t);
    listener.onEnded = async () => {
      throw new StickshiftError('STORE_UNREACHABLE', 'redis at 10.0.0.7 is away');
    };
    using peer = await LinkPeer.attached(address, ['a']);
    peer.say({ t: 'destroy', n: 1, id: 'a' });
    const { code, message } = await peer.hears('error');
    assert.equal(code, 'STORE_UNREACHABLE');
    assert.doesNotMatch(message, /10\.0\.0\.7/);
  });

  test('a miss is answered with the session, with none, or with why that is not known', async (t) => {
    const { source, listener, address } = await started(t);
    listener.onMissed = async (id) => {
      if (id === 'unknown') throw new StickshiftError('STORE_TIMEOUT', 'no answer');
      return id === 'found' ? { data: Buffer.from('{"item":"żółw"}'), idleAt: LATER } : undefined;
    };
    using peer = await LinkPeer.attached(address);
    peer.say({ t: 'load', n: 1, id: 'found' }, { t: 'load', n: 2, id: 'absent' });
    peer.say({ t: 'load', n: 3, id: 'unknown' });
    await peer.hears('session', 2);
    assert.equal((await peer.hears('error')).code, 'STORE_TIMEOUT');
    assert.deepEqual(
      peer.heard.filter(({ t: kind }) => kind === 'session'),
      [
        { t: 'session', n: 1, data: '{"item":"żółw"}', idleAt: LATER },
        { t: 'session', n: 2, data: null, idleAt: 0 },
      ],
    );
    assert.deepEqual(await source.list(), ['found']);
  });

  test('expired sessions are no longer listed, and their end is no logout', async (t) => {
    const { source, listener, address } = await started(t);
    using peer = await LinkPeer.attached(address, ['a', 'b']);
    peer.say({ t: 'expired', ids: ['a'] });
    assert.equal((await listener.heard('ended', 'a')).how, 'expired');
    assert.deepEqual(await source.list(), ['b']);
  });
});

describe('an app that does not answer', () => {
  test('makes operations fail in time, and a late answer is ignored', async (t) => {
    const { source, listener, address } = await started(t, { timeout: 50 });
    using peer = await LinkPeer.attached(address, ['a']);
    await listener.heardTimes('attached', 1);
    await assert.rejects(source.capture('a'), { ...failed, message: /no answer in 50 ms/ });
    const { n } = await peer.hears('capture');
    peer.say({ t: 'session', n, data: 'late', idleAt: LATER });
    await assert.rejects(source.forget('a'), failed);
    assert.equal(listener.count('detached'), 0);
  });

  test('makes operations fail at once when it dies', async (t) => {
    const { source, listener, address } = await started(t, { timeout: 60_000 });
    const peer = await LinkPeer.attached(address, ['a']);
    await listener.heardTimes('attached', 1);
    const capturing = assert.rejects(source.capture('a'), failed);
    await peer.hears('capture');
    peer[Symbol.dispose]();
    await capturing;
  });

  test('a session that is not text is refused before the app gets it', async (t) => {
    const { source, listener, address } = await started(t);
    using peer = await LinkPeer.attached(address);
    await listener.heardTimes('attached', 1);
    await assert.rejects(source.install('a', { data: Buffer.from([0xff]), idleAt: LATER }), failed);
    assert.deepEqual(await source.list(), []);
    assert.ok(!peer.heard.some(({ t: kind }) => kind === 'install'));
  });
});

test('a source that stops closes the connection and tells of nothing more', async () => {
  const path = newPath();
  const source = sourceAt(path);
  const listener = new RecordingListener();
  await source.start(listener);
  using peer = await LinkPeer.attached({ path }, ['a']);
  await listener.heardTimes('attached', 1);
  await source.stop();
  await peer.isClosed();
  await eventually('all events', () => listener.events.length === 1);
  assert.deepEqual(listener.events, [{ what: 'attached' }]);
});
