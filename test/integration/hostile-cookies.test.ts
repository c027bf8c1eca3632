import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { configSchema } from '../../config/schema.ts';
import { type AffinityCookies, createAffinityCookies } from '../../gateway/affinity/affinity-cookie.ts';
import { deriveSecrets } from '../../protocol/secrets.ts';
import { eventually } from '../services/eventually.ts';
import { countersOf } from '../services/gateway-status.ts';
import { SmallInstallation } from '../services/small-installation.ts';
import { recordOf, SITE_SECRET, SmallSite } from '../services/small-site.ts';

const DAY = 86_400_000;

let site: SmallSite;
before(async () => {
  site = await SmallSite.start();
});
after(() => site.stop());

/** Makes cookies as some gateway would. */
function issuer({
  secret = SITE_SECRET,
  pool = 'shop',
  backendIds = ['app-1', 'app-2'],
} = {}): AffinityCookies {
  const { affinity: config } = configSchema.parse({ secret }).gateway;
  return createAffinityCookies({ keys: [deriveSecrets(secret).affinity], config, pool, backendIds });
}

function issued(
  cookies: AffinityCookies,
  details: { backend?: string; now?: number; issuedAt?: number } = {},
): string {
  const { backend = 'app-2', now = Date.now(), issuedAt } = details;
  return cookies.issue({
    ...{ backend, epoch: 1, session: 0, stamp: undefined, now },
    ...(issuedAt !== undefined && { issuedAt }),
  });
}

async function visit(cookie: string) {
  const answer = await fetch(site.url, { headers: { cookie } });
  return {
    status: answer.status,
    app: await answer.text(),
    affinity: answer.headers.getSetCookie().find((line) => line.startsWith('stickshift=')),
  };
}

async function refusals(): Promise<Record<string, number>> {
  return (await countersOf(site.gateway)).affinityRefused;
}

const now = Date.now();
const BAD: readonly (readonly [what: string, reason: string, value: string])[] = [
  ['malformed', 'malformed', 'v1.not.a.cookie.of.ours.at.all'],
  ['empty', 'malformed', ''],
  ['of a later version', 'malformed', issued(issuer()).replace('v1.', 'v2.')],
  ['oversized', 'oversized', `v1.${'A'.repeat(8_000)}`],
  ['foreign', 'foreign', issued(issuer({ secret: 'the secret of another installation' }))],
  ['of another pool', 'foreign', issued(issuer({ pool: 'another' }))],
  ['forged', 'forged', forged(issued(issuer()))],
  ['past its greatest age', 'expired', issued(issuer(), { now, issuedAt: now - 8 * DAY })],
  ['not seen for too long', 'idle', issued(issuer(), { now: now - 2 * DAY })],
  ['from the future', 'future', issued(issuer(), { now: now + DAY })],
  [
    'for a server that was removed',
    'unknown-backend',
    issued(issuer({ backendIds: ['app-9'] }), { backend: 'app-9' }),
  ],
];

function forged(value: string): string {
  return value.slice(0, -1) + (value.endsWith('A') ? 'Q' : 'A');
}

describe('an affinity cookie that is', () => {
  for (const [what, reason, value] of BAD) {
    test(`${what} is no cookie: the client is served, bound anew, and the refusal is counted and logged`, async () => {
      site.serve((app) => (_request, response) => response.end(app.id));
      const before = (await refusals())[reason] ?? 0;
      const logged = site.log.lines.length;
      const { status, app, affinity } = await visit(`stickshift=${value}`);
      assert.equal(status, 200);
      assert.match(app, /^app-\d$/);
      assert.ok(affinity, 'it gets a good one');
      assert.equal((await refusals())[reason], before + 1);
      const lines = site.log.lines.slice(logged).filter(({ msg }) => msg === 'affinity cookie refused');
      assert.deepEqual(
        lines.map((line) => [line.pool, line.reason]),
        [['shop', reason]],
      );
      if (value !== '') assert.ok(!JSON.stringify(lines).includes(value), 'the log does not repeat it');
    });

    test(`${what} sends no session to where it is not`, async () => {
      site.serve((app) => (_request, response) => response.end(app.id));
      site.lookup = () => recordOf('app-1', 7);
      const sid = `session of ${what}`.replaceAll(' ', '-');
      assert.equal((await visit(`stickshift=${value}; sid=${sid}`)).app, 'app-1');
    });
  }
});

describe('of several affinity cookies', () => {
  test('the first good one counts, wherever it stands, and the client keeps it', async () => {
    site.serve((app) => (_request, response) => response.end(app.id));
    const good = issued(issuer(), { backend: 'app-2' });
    const bad = BAD.map(([, , value]) => value).filter((value) => value.length < 1_000);
    for (const values of [
      [good, ...bad.slice(0, 3)],
      [...bad.slice(0, 3), good],
      [good, good],
    ]) {
      const { app } = await visit(values.map((value) => `stickshift=${value}`).join('; '));
      assert.equal(app, 'app-2');
    }
  });

  test('two good ones that contradict each other are no tie: the first counts', async () => {
    site.serve((app) => (_request, response) => response.end(app.id));
    const [one, two] = [issued(issuer(), { backend: 'app-1' }), issued(issuer(), { backend: 'app-2' })];
    assert.equal((await visit(`stickshift=${one}; stickshift=${two}`)).app, 'app-1');
    assert.equal((await visit(`stickshift=${two}; stickshift=${one}`)).app, 'app-2');
  });
});

describe('of several session cookies', () => {
  test('the first counts, as in the application, and that there were several is counted', async () => {
    site.serve((app) => (_request, response) => response.end(app.id));
    const asked: string[] = [];
    site.lookup = () => {
      asked.push('asked');
      return recordOf('app-2', 3);
    };
    assert.equal((await visit('sid=first-of-two; sid=second-of-two')).app, 'app-2');
    site.lookup = () => recordOf('app-1', 3);
    assert.equal((await visit('sid=first-of-two')).app, 'app-2', 'the same session: no other lookup');
    assert.equal((await visit('sid=second-of-two')).app, 'app-1');
    assert.deepEqual(asked, ['asked']);
  });
});

describe('a session ID that', () => {
  test('nobody knows is served like a newcomer’s, once looked up, and stays where it went', async () => {
    site.serve((app) => (_request, response) => response.end(app.id));
    let lookups = 0;
    site.lookup = () => {
      lookups += 1;
      return undefined;
    };
    const first = await visit('sid=known-to-nobody');
    assert.equal(first.status, 200);
    for (let i = 0; i < 5; i++) assert.equal((await visit('sid=known-to-nobody')).app, first.app);
    assert.equal(lookups, 1);
  });

  for (const [what, value] of [
    ['is longer than any', 'x'.repeat(600)],
    ['has control characters in it', 'a%00b'],
    ['has blanks in it', 'a%20b'],
    ['is not ASCII', '%C3%A4'],
    ['is empty', ''],
  ] as const) {
    test(`${what} is none, and costs no lookup`, async () => {
      site.serve((app) => (_request, response) => response.end(app.id));
      site.lookup = () => assert.fail('it was looked up');
      assert.equal((await visit(`sid=${value}`)).status, 200);
    });
  }
});

test('a replayed affinity cookie, from before its session moved, leads to where the session is now', async () => {
  await using installation = await SmallInstallation.start();
  const visitor = installation.visitor();
  const { server: from = '' } = await visitor.post('/cart/tea');
  const stolen = visitor.at(installation.gateway);
  await setState(installation, from, 'drain');
  assert.equal((await visitor.post('/cart/cake')).server, installation.other(from).id);
  await eventually(
    'the drain is complete',
    async () => (await installation.backend(from)).drain?.state === 'complete',
  );
  await setState(installation, from, 'ready');

  const fresh = await installation.startGateway();
  for (const replayed of [stolen, stolen.at(fresh), stolen.at(installation.gateway)]) {
    const visit = await replayed.get('/cart');
    assert.deepEqual([visit.server, visit.body], [installation.other(from).id, ['tea', 'cake']]);
  }
});

test('the session cookie of a logged-out session opens nothing, whatever affinity cookie comes with it', async () => {
  await using installation = await SmallInstallation.start();
  const visitor = installation.visitor();
  await visitor.post('/cart/tea');
  const stolen = visitor.at(installation.gateway);
  assert.equal((await visitor.post('/logout')).status, 200);
  for (const replayed of [stolen, stolen.at(await installation.startGateway())]) {
    const visit = await replayed.get('/cart');
    assert.deepEqual([visit.status, visit.body], [200, []]);
  }
});

async function setState(installation: SmallInstallation, backend: string, state: string): Promise<void> {
  const answer = await fetch(`${installation.gateway.adminUrl}/v1/backends/${backend}/state`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ state }),
  });
  assert.ok(answer.ok);
}
