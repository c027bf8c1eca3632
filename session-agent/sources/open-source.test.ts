import assert from 'node:assert/strict';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pino } from 'pino';
import { parseConfig } from '../../config/load.ts';
import { RecordingListener } from '../../test/contract/session-source/recording-listener.ts';
import type { AppCheck } from './files/app-check.ts';
import { openSource } from './open-source.ts';

/** Whether a session that its app has emptied is one, to a source that knows of this check. */
async function isEmptiedOneBelieved(appCheck?: AppCheck): Promise<boolean> {
  const directory = await mkdtemp(join(tmpdir(), 'stickshift-open-'));
  try {
    const { config } = parseConfig(
      JSON.stringify({
        secret: 'a-secret-of-32-characters-or-more',
        pools: {
          shop: {
            session: { cookie: 'PHPSESSID' },
            backends: { 'app-1': { url: 'http://127.0.0.1:1', agent: 'http://127.0.0.1:2' } },
          },
        },
        agents: { 'app-1': { pool: 'shop', source: { type: 'files', directory } } },
      }),
      { file: 'stickshift.yaml', env: {} },
    );
    const agent = config.agents['app-1'] ?? assert.fail('there is an agent');
    const logger = pino({ level: 'silent' });
    const source = await openSource({
      config: agent,
      backend: 'app-1',
      token: 'a-token',
      logger,
      ...(appCheck && { appCheck }),
    });
    await source.start(new RecordingListener());
    await writeFile(join(directory, 'sess_abc'), 'user|i:7;');
    await source.refresh('abc');
    await truncate(join(directory, 'sess_abc'));
    await source.refresh('abc');
    const captured = await source.capture('abc');
    await source.stop();
    return captured !== undefined;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

test('an emptied session file is believed only of an app that is there, where it is known how to ask', async () => {
  const nobody = { url: new URL('http://127.0.0.1:1/healthz'), timeout: 5_000 };
  assert.equal(await isEmptiedOneBelieved(nobody), false);
  assert.equal(await isEmptiedOneBelieved(), true);
});
