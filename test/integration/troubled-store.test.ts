import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { eventually } from '../services/eventually.ts';
import { localRedisRequirement } from '../services/redis.ts';
import { type LocalRedis, startLocalRedis } from '../services/redis-process.ts';
import { SmallInstallation } from '../services/small-installation.ts';
import { type Trouble, TroubledRedis } from '../services/troubled-redis.ts';
import type { Visit } from '../services/visitor.ts';

const TROUBLES: readonly (readonly [string, Trouble])[] = [
  ['is away', 'away'],
  ['accepts connections and says nothing', 'stalled'],
  ['refuses every command', { reply: '-OOM command not allowed when used memory > maxmemory\r\n' }],
  ['answers with a number', { reply: ':42\r\n' }],
  ['answers with a list of other things', { reply: '*2\r\n$7\r\nadopted\r\n$3\r\nyes\r\n' }],
  ['answers with an unknown outcome', { reply: '*1\r\n$6\r\nperhaps\r\n' }],
  ['answers in another protocol', { reply: 'HTTP/1.1 400 Bad Request\r\n\r\n' }],
];

function assertRefused(visit: Visit, code: string): void {
  assert.equal(visit.status, 503);
  assert.equal((visit.body as { code?: string }).code, code);
  assert.deepEqual(visit.headers.getSetCookie(), []);
  assert.doesNotMatch(JSON.stringify(visit.body), /redis|127\.0\.0\.1|app-\d/i);
}

describe('a store that', localRedisRequirement(), () => {
  let redis: LocalRedis;
  let door: TroubledRedis;
  let installation: SmallInstallation;
  before(async () => {
    redis = await startLocalRedis();
    door = await TroubledRedis.start(redis.url);
    installation = await SmallInstallation.start({
      storeUrl: door.url,
      gateway: { timeouts: { hold: '1500ms' } },
      pool: { onStoreDown: 'refuse' },
    });
  });
  beforeEach(() => installation.reachesStore());
  after(async () => {
    door.trouble = 'none';
    await installation[Symbol.asyncDispose]();
    await door[Symbol.asyncDispose]();
    await redis.stop();
  });

  for (const [what, trouble] of TROUBLES) {
    test(`${what} loses no session: reads go on, nothing is acknowledged that is not saved, nothing is guessed`, async () => {
      const visitor = installation.visitor();
      const { server } = await visitor.post('/cart/tea');
      // It knows nothing yet of where anybody is.
      const freshGateway = await installation.startGateway();
      const stranger = visitor.at(freshGateway, ['connect.sid']);
      const known = visitor.at(freshGateway);
      const logged = installation.server(server).log.lines.length;

      door.trouble = trouble;
      const read = await visitor.get('/cart');
      assert.deepEqual(
        [read.status, read.server, read.body],
        [200, server, ['tea']],
        'steady state needs no store',
      );
      assertRefused(await stranger.get('/cart'), 'SESSION_UNKNOWN');
      const answered = await known.get('/cart');
      assert.deepEqual(
        [answered.status, answered.server],
        [200, server],
        'the bound agent knows what it holds',
      );
      assertRefused(await visitor.post('/cart/cake'), 'COMMIT_UNKNOWN');
      assert.equal((await installation.visitor().get('/cart')).status, 200, 'newcomers are served');

      door.trouble = 'none';
      await eventually('the change that was not acknowledged is saved all the same', async () => {
        return (await installation.backend(server ?? '')).agent.state === 'ok' && (await dirty(server)) === 0;
      });
      await eventually('the store can be asked again', async () => {
        return (await stranger.get('/cart')).status === 200;
      });
      assert.deepEqual((await visitor.post('/cart/milk')).body, ['tea', 'cake', 'milk']);
      const lines = installation.server(server).log.lines.slice(logged);
      assert.ok(lines.some(({ msg, level }) => /store/.test(String(msg)) && Number(level) >= 40));
    });
  }

  for (const [what, trouble] of TROUBLES.slice(0, 2)) {
    test(`${what} has nobody shown a change that was refused, and that may be lost yet`, async () => {
      const [visitor, reader] = [installation.visitor(), installation.visitor()];
      await visitor.post('/cart/tea');
      await reader.post('/cart/milk');
      door.trouble = trouble;
      assertRefused(await visitor.post('/cart/cake'), 'COMMIT_UNKNOWN');
      await eventually('its session is not served', async () => (await visitor.get('/cart')).status === 503);
      assert.deepEqual((await reader.get('/cart')).body, ['milk'], 'others are');
      door.trouble = 'none';
      const saved = await eventually('the change is saved', async () => {
        const visit = await visitor.get('/cart');
        return visit.status === 200 && visit;
      });
      assert.deepEqual(saved.body, ['tea', 'cake']);
    });
  }

  test('stalls while a server dies keeps that server’s sessions waiting, and then they move', async () => {
    const visitor = installation.visitor();
    const { server } = await visitor.post('/cart/tea');
    const dying = installation.server(server);
    door.trouble = 'stalled';
    await dying.stop();
    await installation.sees(dying.id, false);
    assertRefused(await visitor.get('/cart'), 'SESSION_UNKNOWN');
    assertRefused(await visitor.post('/cart/cake'), 'SESSION_UNKNOWN');
    door.trouble = 'none';
    const moved = await eventually('the session moves', async () => {
      const visit = await visitor.get('/cart');
      return visit.status === 200 && visit;
    });
    assert.deepEqual([moved.server, moved.body], [installation.other(dying.id).id, ['tea']]);
    await dying.start();
  });

  async function dirty(server: string | undefined): Promise<number> {
    const { agent } = await installation.backend(server ?? '');
    return agent.state === 'ok' ? agent.dirty : Number.NaN;
  }
});

test(
  'with onStoreDown: serve, writes go on from the journal while the store is away, and logouts wait',
  localRedisRequirement(),
  async () => {
    const redis = await startLocalRedis();
    try {
      await using door = await TroubledRedis.start(redis.url);
      await using installation = await SmallInstallation.start({
        storeUrl: door.url,
        gateway: { timeouts: { hold: '1500ms' } },
      });
      const visitor = installation.visitor();
      const { server = '' } = await visitor.post('/cart/tea');
      const leaver = installation.visitor();
      await leaver.post('/cart/jam');

      door.trouble = 'away';
      const written = await visitor.post('/cart/cake');
      assert.deepEqual([written.status, written.body], [200, ['tea', 'cake']]);
      assertRefused(await leaver.post('/logout'), 'COMMIT_UNKNOWN');
      const { held } = (await installation.status()).gateway;
      assert.equal(held.atRisk, 1);
      assert.equal(await atRisk(server), 1);
      assert.equal(installation.gatewayLog.matching(/at risk until the store is back/).length, 1);

      door.trouble = 'none';
      await eventually('the store has what the journal had', async () => (await atRisk(server)) === 0);
      await installation.server(server).stop();
      await installation.sees(server, false);
      const moved = await eventually('it moves', async () => {
        const visit = await visitor.get('/cart');
        return visit.status === 200 && visit;
      });
      assert.deepEqual([moved.server, moved.body], [installation.other(server).id, ['tea', 'cake']]);

      async function atRisk(id: string): Promise<number> {
        const { agent } = await installation.backend(id);
        return agent.state === 'ok' ? agent.atRisk : Number.NaN;
      }
    } finally {
      await redis.stop();
    }
  },
);
