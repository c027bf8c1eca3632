import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { SessionSource } from '../../session-agent/sources/session-source.ts';
import { RecordingListener } from './session-source/recording-listener.ts';

/** A source, and the app whose sessions it moves. */
export interface SourceUnderTest {
  readonly source: SessionSource;
  readonly app: AppUnderTest;
  close(): Promise<void>;
}

/** What an app does with its sessions, by whatever means the source is made for. */
export interface AppUnderTest {
  /** A new session ID of the kind that this app makes. */
  newId(): string;
  /** Content that the app can hold, and that is another for another `text`. */
  content(text: string): Uint8Array;
  /** Idle lifetime that the app gives its sessions, milliseconds. */
  readonly lifetime: number;
  write(id: string, data: Uint8Array): Promise<void>;
  /** Uses the session and leaves its content alone. */
  touch(id: string): Promise<void>;
  /** The content that the app finds without asking the source. */
  read(id: string): Promise<Uint8Array | undefined>;
  logOut(id: string): Promise<void>;
  /** Goes on with the session under another ID, as at a login. */
  changeId(id: string, successor: string, data: Uint8Array): Promise<void>;
  /** Whether the source can tell that a session has been logged out, or another one has taken its place; or only that it is gone. */
  readonly saysWhy: boolean;
}

/** What every `SessionSource` has to do. Each test has sessions of its own; the app may hold others. */
export function sessionSourceContract(
  name: string,
  options: { readonly skip: string | false },
  open: (listener: RecordingListener) => Promise<SourceUnderTest>,
): void {
  describe(`session source contract: ${name}`, options, () => {
    let opened: SourceUnderTest;
    let source: SessionSource;
    let app: AppUnderTest;
    const listener = new RecordingListener();
    before(async () => {
      opened = await open(listener);
      ({ source, app } = opened);
      await source.start(listener);
      await listener.heardTimes('attached', 1);
    });
    after(() => opened.close());

    const now = () => Date.now();
    /** A session of the app that the source has told of. */
    const written = async (text: string) => {
      const id = app.newId();
      await app.write(id, app.content(text));
      await listener.heard('changed', id);
      // A source may tell of one change twice; after this it has told all.
      await source.refresh(id);
      return id;
    };
    const assertContent = (data: Uint8Array | undefined, text: string) => {
      assert.ok(data, 'there is no such session');
      assert.equal(Buffer.from(data).toString(), Buffer.from(app.content(text)).toString());
    };

    test('tells of a new session, lists it and captures what the app wrote', async () => {
      const id = await written('a cart with żółw in it');
      assert.ok((await source.list()).includes(id));
      const captured = await source.capture(id);
      assertContent(captured?.data, 'a cart with żółw in it');
      const left = (captured?.idleAt ?? 0) - now();
      assert.ok(left > app.lifetime / 2 && left <= app.lifetime + 1_000, `idle deadline in ${left} ms`);
    });

    test('captures the newest content, and again when asked again', async () => {
      const id = await written('one');
      await app.write(id, app.content('two'));
      await source.refresh(id);
      assertContent((await source.capture(id))?.data, 'two');
      assertContent((await source.capture(id))?.data, 'two');
    });

    test('has told of a change when refresh resolves', async () => {
      const id = app.newId();
      await app.write(id, app.content('first'));
      await source.refresh(id);
      assert.ok(listener.of(id, 'changed').length > 0);
      const told = listener.of(id, 'changed').length;
      await app.write(id, app.content('other'));
      await source.refresh(id);
      assert.ok(listener.of(id, 'changed').length > told);
    });

    test('refresh of a session that nobody has heard of tells nothing', async () => {
      const id = app.newId();
      await source.refresh(id);
      assert.deepEqual(listener.of(id), []);
    });

    test('captures nothing for a session that the app does not hold', async () => {
      assert.equal(await source.capture(app.newId()), undefined);
      assert.equal(await source.capture('../../etc/passwd'), undefined);
    });

    test('tells when a session was used without a change', async () => {
      const id = await written('same');
      const before = (await source.capture(id))?.idleAt ?? 0;
      await app.touch(id);
      const { idleAt } = await listener.heard('touched', id);
      assert.ok(idleAt >= before);
      assertContent((await source.capture(id))?.data, 'same');
    });

    test('tells of a logout, and the session is gone', async () => {
      const id = await written('to be logged out');
      await app.logOut(id);
      const { how } = await listener.heard('ended', id);
      assert.equal(how, app.saysWhy ? 'logout' : 'removed');
      assert.equal(await source.capture(id), undefined);
      assert.ok(!(await source.list()).includes(id));
    });

    test('a logout has been told of when refresh resolves', async () => {
      const id = await written('to be logged out');
      await app.logOut(id);
      await source.refresh(id);
      assert.equal(listener.of(id, 'ended').length, 1);
    });

    test('a change of ID has been told of when refresh resolves: the old one is gone, the new one is there', async () => {
      const id = await written('a cart');
      const told = listener.of(id).length;
      const successor = app.newId();
      await app.changeId(id, successor, app.content('a cart and a name'));
      await Promise.all([source.refresh(id), source.refresh(successor)]);
      const expected = app.saysWhy
        ? { what: 'replaced' as const, id, successor }
        : { what: 'ended' as const, id, how: 'removed' as const };
      assert.deepEqual(listener.of(id).slice(told), [expected]);
      assert.ok(listener.of(successor, 'changed').length > 0);
      assertContent((await source.capture(successor))?.data, 'a cart and a name');
      assert.ok(!(await source.list()).includes(id));
      assert.equal(await app.read(id), undefined);
    });

    test('a session that was removed, or went on under another ID, can be put back', async () => {
      for (const go of [
        (id: string) => app.changeId(id, app.newId(), app.content('a cart and a name')),
        (id: string) => (app.saysWhy ? source.forget(id) : app.logOut(id)),
      ]) {
        const id = await written('a cart');
        await go(id);
        await source.refresh(id);
        await source.install(id, { data: app.content('a cart'), idleAt: now() + app.lifetime });
        assertContent(await app.read(id), 'a cart');
        const told = listener.of(id, 'changed').length;
        await app.write(id, app.content('a cart with tea'));
        await source.refresh(id);
        assert.ok(listener.of(id, 'changed').length > told);
        assertContent((await source.capture(id))?.data, 'a cart with tea');
      }
    });

    test('installs a session that the app does not hold, with its deadline, and tells nothing of it', async () => {
      const id = app.newId();
      const idleAt = now() + Math.round(app.lifetime / 2);
      await source.install(id, { data: app.content('moved in'), idleAt });
      assertContent(await app.read(id), 'moved in');
      assert.ok((await source.list()).includes(id));
      await source.refresh(id);
      const captured = await source.capture(id);
      assertContent(captured?.data, 'moved in');
      assert.equal(captured?.idleAt, idleAt);
      assert.deepEqual(listener.of(id), []);
    });

    test('installs over what the app holds', async () => {
      const id = await written('stale, and rather longer than what comes');
      const told = listener.of(id).length;
      await source.install(id, { data: app.content('fresh'), idleAt: now() + app.lifetime });
      assertContent(await app.read(id), 'fresh');
      await source.refresh(id);
      assert.equal(listener.of(id).length, told);
    });

    test('tells of what the app makes of an installed session', async () => {
      const id = app.newId();
      await source.install(id, { data: app.content('moved in'), idleAt: now() + app.lifetime });
      await app.write(id, app.content('and on'));
      await source.refresh(id);
      assert.ok(listener.of(id, 'changed').length > 0);
      assertContent((await source.capture(id))?.data, 'and on');
    });

    test('forgets a session without taking that for its end', async () => {
      const id = await written('moves away');
      await source.forget(id);
      assert.equal(await app.read(id), undefined);
      await source.refresh(id);
      assert.equal(await source.capture(id), undefined);
      assert.ok(!(await source.list()).includes(id));
      assert.deepEqual(listener.of(id, 'ended'), []);
    });

    test('forgetting a session that the app does not hold does nothing', async () => {
      const id = app.newId();
      await source.forget(id);
      assert.deepEqual(listener.of(id), []);
    });

    test('a session that moved away can come back', async () => {
      const id = await written('there');
      await source.forget(id);
      await source.install(id, { data: app.content('and back'), idleAt: now() + app.lifetime });
      assertContent(await app.read(id), 'and back');
    });

    test('never mixes what two writers wrote', async () => {
      const id = await written('start');
      const texts = ['a'.repeat(50_000), 'b'.repeat(10)];
      const writing = (async () => {
        for (let round = 0; round < 40; round += 1) {
          await app.write(id, app.content(texts[round % 2] as string));
        }
      })();
      const whole = new Set([...texts, 'start'].map((text) => Buffer.from(app.content(text)).toString()));
      for (let round = 0; round < 20; round += 1) {
        const captured = await source.capture(id);
        assert.ok(captured && whole.has(Buffer.from(captured.data).toString()), 'half-written');
      }
      await writing;
      await source.refresh(id);
      assertContent((await source.capture(id))?.data, texts[1] as string);
    });
  });
}
