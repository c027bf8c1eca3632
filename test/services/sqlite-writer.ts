/**
 * A process of its own that commits to an SQLite store until it is killed, as an agent does. Arguments: path of the file,
 * session key, owner. It takes the session whenever another writer has it, and prints `<epoch> <seq>` of every commit
 * that the store has acknowledged.
 */
import { writeSync } from 'node:fs';
import { pino } from 'pino';
import type { SessionKey } from '../../protocol/session-key.ts';
import { SqliteSnapshotStore } from '../../store/sqlite/sqlite-snapshot-store.ts';

const [path = '', key = '', owner = ''] = process.argv.slice(2);
const sessionKey = key as SessionKey;
const store = await SqliteSnapshotStore.open({
  path,
  commandTimeout: 20_000,
  settle: 5_000,
  installation: 'test',
  logger: pino({ level: 'silent' }),
});

for (;;) {
  const found = await store.lookup(sessionKey);
  const adopted = await store.adopt(sessionKey, { owner, ifEpoch: found?.epoch ?? 1 });
  if (adopted.outcome !== 'adopted') continue;
  const { epoch, deadlines } = adopted.record;
  let { seq } = adopted.record;
  for (let round = 0; round < 20; round++) {
    seq++;
    const snapshot = Buffer.from(`${owner} ${epoch} ${seq}`);
    const { outcome } = await store.commit(sessionKey, { owner, epoch, seq, snapshot, deadlines });
    if (outcome !== 'committed') break;
    // Synchronous: a line that is out cannot be lost with the process.
    writeSync(1, `${epoch} ${seq}\n`);
  }
}
