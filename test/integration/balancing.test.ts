import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { ConfigInput } from '../../config/schema.ts';
import { eventually } from '../services/eventually.ts';
import { recordOf, SmallSite } from '../services/small-site.ts';

type PoolInput = NonNullable<ConfigInput['pools']>[string];

async function startSite(
  t: TestContext,
  balance: PoolInput['balance'],
  weights: Readonly<Record<string, number>> = {},
): Promise<SmallSite> {
  const site = await SmallSite.start({ pool: balance ? { balance } : {}, weights });
  t.after(() => site.stop());
  site.serve((app) => (_request, response) => response.end(app.id));
  return site;
}

/** How many of the answers each app gave; every request is a new client. */
async function newClients(site: SmallSite, count: number): Promise<Record<string, number>> {
  const answers: Record<string, number> = { 'app-1': 0, 'app-2': 0 };
  for (let i = 0; i < count; i++) {
    const app = await (await fetch(site.url)).text();
    answers[app] = (answers[app] ?? 0) + 1;
  }
  return answers;
}

const visit = async (site: SmallSite, sid: string) =>
  (await fetch(site.url, { headers: { cookie: `sid=${sid}` } })).text();

describe('new clients', () => {
  test('take turns with round-robin', async (t) => {
    const site = await startSite(t, 'round-robin');
    assert.deepEqual(await newClients(site, 20), { 'app-1': 10, 'app-2': 10 });
  });

  test('take turns by weight', async (t) => {
    const site = await startSite(t, 'round-robin', { 'app-1': 300, 'app-2': 100 });
    assert.deepEqual(await newClients(site, 20), { 'app-1': 15, 'app-2': 5 });
  });

  for (const balance of ['least-connections', 'round-robin', 'rendezvous'] as const) {
    test(`never get a server of weight 0 with ${balance}, while those it has stay`, async (t) => {
      const site = await startSite(t, balance, { 'app-1': 0 });
      assert.deepEqual(await newClients(site, 20), { 'app-1': 0, 'app-2': 20 });
      for (let i = 0; i < 10; i++) assert.equal(await visit(site, `new-${i}`), 'app-2');
      site.lookup = () => recordOf('app-1', 1);
      assert.equal(await visit(site, 'one-of-its-own'), 'app-1');
    });
  }

  test('get the server with fewer requests under way with least-connections, which is the default', async (t) => {
    const site = await startSite(t, undefined);
    const waiting: (() => void)[] = [];
    site.serve((app) => (request, response) => {
      if (request.url === '/slow') waiting.push(() => response.end(app.id));
      else response.end(app.id);
    });
    // Of two choices among two backends the idle one always wins.
    const slow = fetch(`${site.url}/slow`);
    await eventually('it is under way', () => waiting.length === 1);
    const busy = site.apps.find((app) => app.requests === 1)?.id ?? '';
    const answers = await newClients(site, 20);
    assert.equal(answers[busy], 0);
    for (const end of waiting) end();
    assert.equal(await (await slow).text(), busy);
  });

  test('with a session that has no record get the server of its key with rendezvous, at every gateway', async (t) => {
    const [one, two] = [await startSite(t, 'rendezvous'), await startSite(t, 'rendezvous')];
    const seen = new Set<string>();
    for (let i = 0; i < 20; i++) {
      const app = await visit(one, `session-${i}`);
      seen.add(app);
      assert.equal(await visit(two, `session-${i}`), app);
    }
    assert.deepEqual([...seen].toSorted(), ['app-1', 'app-2']);
  });
});
