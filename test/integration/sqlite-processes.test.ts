import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pino } from 'pino';
import { SqliteSnapshotStore } from '../../store/sqlite/sqlite-snapshot-store.ts';
import { aRecord } from '../contract/snapshot-store/sample-records.ts';
import { eventually } from '../services/eventually.ts';

const writerFile = join(import.meta.dirname, '../services/sqlite-writer.ts');

interface Writer {
  /** Commits that the store acknowledged, as `[epoch, seq]`. */
  commits(): [number, number][];
  kill(): Promise<void>;
}

function startWriter(path: string, key: string, owner: string): Writer {
  const child: ChildProcess = spawn(process.execPath, [writerFile, path, key, owner], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout?.on('data', (chunk) => {
    output += chunk;
  });
  const closed = once(child, 'close');
  const kill = async () => {
    child.kill('SIGKILL');
    await closed;
  };
  after(kill);
  return {
    commits: () =>
      output
        .split('\n')
        .slice(0, -1)
        .map((line) => line.split(' ').map(Number) as [number, number]),
    kill,
  };
}

test('writers that are killed lose nothing that was acknowledged, and share one line of epochs and seqs', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'stickshift-sqlite-'));
  const path = join(directory, 'sessions.sqlite');
  const logger = pino({ level: 'silent' });
  const store = await SqliteSnapshotStore.open({
    path,
    commandTimeout: 20_000,
    settle: 5_000,
    installation: 'test',
    logger,
  });
  after(async () => {
    await store.close();
    await rm(directory, { recursive: true, force: true });
  });
  const key = await aRecord(store);
  const writers = ['app-1', 'app-2'].map((owner) => startWriter(path, key, owner));
  await eventually('both writers have had the session several times', () =>
    writers.every((writer) => new Set(writer.commits().map(([epoch]) => epoch)).size > 3),
  );
  await Promise.all(writers.map((writer) => writer.kill()));

  const record = await store.read(key);
  assert.ok(record);
  const [one, two] = writers.map((writer) => writer.commits());
  assert.ok(one && two);
  const all = [...one, ...two].sort(([, a], [, b]) => a - b);
  const last = all.at(-1) ?? [0, 0];
  assert.ok(record.epoch >= last[0] && record.seq >= last[1], 'the last acknowledged commit is there');
  // Commits by seq are in the order of their epochs, each seq was given once, and each epoch has one owner.
  for (const [index, [epoch, seq]] of all.entries()) {
    const [epochBefore, seqBefore] = all[index - 1] ?? [0, 0];
    assert.ok(seq > seqBefore && epoch >= epochBefore, `${epochBefore}.${seqBefore} before ${epoch}.${seq}`);
  }
  const epochsOfOne = new Set(one.map(([epoch]) => epoch));
  assert.ok(two.every(([epoch]) => !epochsOfOne.has(epoch)));
});
