import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { crossCheck } from './cross-checks.ts';
import { type ConfigInput, configSchema } from './schema.ts';

type PoolInput = NonNullable<ConfigInput['pools']>[string];
type AgentInput = NonNullable<ConfigInput['agents']>[string];

const pool = (id: string, more: Partial<PoolInput> = {}): PoolInput => ({
  session: { cookie: 'sid' },
  backends: { [id]: { url: `http://${id}:80`, agent: `http://${id}:9090` } },
  ...more,
});
const agent = (poolName: string, more: Partial<AgentInput> = {}): AgentInput => ({
  pool: poolName,
  source: { type: 'express', listen: '/run/app.sock' },
  ...more,
});

function contradictions(config: Omit<ConfigInput, 'secret'>): string[] {
  const parsed = configSchema.parse({ secret: 'x'.repeat(32), ...config });
  return crossCheck(parsed).map(({ path, message }) => `${path.join('.')}: ${message}`);
}

describe('settings that contradict each other', () => {
  test('none, in a small installation', () => {
    assert.deepEqual(
      contradictions({ pools: { shop: pool('app-1') }, agents: { 'app-1': agent('shop') } }),
      [],
    );
  });

  test('an admin API that the network reaches without a token', () => {
    const admin = (listen: string, token?: string) =>
      contradictions({ gateway: { admin: { listen, ...(token && { token }) } } });
    assert.match(
      admin('0.0.0.0:8081')[0] ?? '',
      /^gateway\.admin\.token: is missing; 0\.0\.0\.0:8081 is open/,
    );
    assert.equal(admin('[::]:8081').length, 1);
    assert.deepEqual(admin('0.0.0.0:8081', 'a token of sixteen'), []);
    for (const loopback of ['127.0.0.1:1', '127.8.8.8:1', '[::1]:1', 'localhost:1']) {
      assert.deepEqual(admin(loopback), []);
    }
  });

  test('two ports in one place', () => {
    const both = (address: string) =>
      contradictions({ gateway: { listen: address, admin: { listen: address } } });
    assert.deepEqual(both('127.0.0.1:80'), [
      'gateway.admin.listen: expected another address than gateway.listen',
    ]);
    assert.deepEqual(both('127.0.0.1:0'), []);
  });

  test('a redirect to https where something else listens', () => {
    const redirectTo = (address: string) =>
      contradictions({
        gateway: {
          listen: '127.0.0.1:443',
          admin: { listen: '127.0.0.1:81' },
          tls: { certificates: [{ cert: 'a.crt', key: 'a.key' }], redirect: { listen: address } },
        },
      });
    assert.deepEqual(redirectTo('127.0.0.1:443'), [
      'gateway.tls.redirect.listen: expected another address than gateway.listen',
    ]);
    assert.deepEqual(redirectTo('127.0.0.1:81'), [
      'gateway.tls.redirect.listen: expected another address than gateway.admin.listen',
    ]);
    assert.deepEqual(redirectTo('127.0.0.1:80'), []);
    assert.deepEqual(redirectTo('127.0.0.1:0'), []);
  });

  test('an affinity cookie that is renewed after it has expired', () => {
    const [problem] = contradictions({ gateway: { affinity: { idle: '5m', renewAfter: '5m' } } });
    assert.match(problem ?? '', /^gateway\.affinity\.renewAfter: expected less than gateway\.affinity\.idle/);
  });

  test('an affinity cookie that browsers refuse', () => {
    for (const affinity of [{ sameSite: 'None' }, { partitioned: true }] as const) {
      const [problem] = contradictions({ gateway: { affinity: { secure: 'never', ...affinity } } });
      assert.match(problem ?? '', /^gateway\.affinity\.secure: expected "auto" or "always"/);
    }
  });

  test('one name for the session cookie and the affinity cookie', () => {
    const [problem] = contradictions({
      pools: { shop: pool('app-1', { session: { cookie: 'stickshift' } }) },
    });
    assert.match(problem ?? '', /^pools\.shop\.session\.cookie: expected another name.*"stickshift"/);
    const pools = {
      shop: pool('app-1', { session: { cookie: 'stickshift' } }),
      wiki: pool('app-2', { session: { cookie: 'stickshift-shop' }, match: { hosts: ['wiki'] } }),
    };
    const [other, ...more] = contradictions({ pools });
    assert.match(other ?? '', /^pools\.wiki\.session\.cookie: expected another name.*"stickshift-shop"/);
    assert.deepEqual(more, []);
  });

  test('one agent for two backends, in whichever pools they are', () => {
    const backends = { other: { url: 'http://other:80', agent: 'http://app-1:9090/' } };
    const pools = { shop: pool('app-1'), wiki: pool('other', { backends, match: { hosts: ['wiki'] } }) };
    assert.deepEqual(contradictions({ pools }), [
      'pools.wiki.backends.other.agent: is the agent of shop.app-1 too; each backend has an agent of its own',
    ]);
  });

  test('one app server twice in a pool', () => {
    const backends = {
      a: { url: 'http://a:80', agent: 'http://a:1' },
      b: { url: 'http://a', agent: 'http://b:1' },
    };
    assert.deepEqual(contradictions({ pools: { shop: pool('a', { backends }) } }), [
      'pools.shop.backends.b.url: is the URL of shop.a too',
    ]);
  });

  test('two pools for the same requests', () => {
    const [problem] = contradictions({ pools: { shop: pool('a'), wiki: pool('b') } });
    assert.match(problem ?? '', /^pools\.wiki\.match: matches the same requests as pool "shop"/);
  });

  test('an agent whose pool or backend there is not', () => {
    const pools = { shop: pool('app-1') };
    const agents = {
      'app-1': agent('shopp'),
      'app-2': agent('shop'),
      one: agent('shop', { backend: 'ap-1' }),
    };
    assert.deepEqual(contradictions({ pools, agents }), [
      'agents.app-1.pool: no pool is called "shopp" (did you mean "shop"?)',
      'agents.app-2: pool "shop" has no backend "app-2" (did you mean "app-1"?)',
      'agents.one.backend: pool "shop" has no backend "ap-1" (did you mean "app-1"?)',
    ]);
  });

  test('a pool named like something that every object has', () => {
    assert.match(
      contradictions({ pools: { shop: pool('a') }, agents: { a: agent('constructor') } })[0] ?? '',
      /^agents\.a\.pool: no pool is called "constructor"/,
    );
  });

  test('two agents beside one backend', () => {
    const agents = { 'app-1': agent('shop'), again: agent('shop', { backend: 'app-1' }) };
    assert.deepEqual(contradictions({ pools: { shop: pool('app-1') }, agents }), [
      'agents.again.backend: agent "app-1" stands beside backend "app-1" already',
    ]);
  });

  test('none, where names that have dots only look alike', () => {
    const agents = { one: agent('a', { backend: 'b.c' }), two: agent('a.b', { backend: 'c' }) };
    const pools = { a: pool('b.c'), 'a.b': pool('c') };
    assert.deepEqual(
      contradictions({ pools, agents }).filter((message) => message.includes('stands beside')),
      [],
    );
  });

  test('replicas of a store that has none', () => {
    const replicated = { shop: pool('app-1', { durability: 'replica' }) };
    assert.match(contradictions({ pools: replicated })[0] ?? '', /^pools\.shop\.durability: "replica" needs/);
    const cluster = { url: 'redis+cluster://redis:6379' };
    assert.equal(contradictions({ pools: replicated, store: cluster }).length, 1);
    assert.deepEqual(contradictions({ pools: replicated, store: { url: 'redis://redis:6379' } }), []);
    const routes = [{ paths: ['/pay'], durability: 'replica' as const }];
    const [problem] = contradictions({ pools: { shop: pool('app-1', { routes }) } });
    assert.match(problem ?? '', /^pools\.shop\.routes\.0\.durability: "replica" needs/);
  });

  test('a route that makes do with a journal where it asks for replicas', () => {
    const store = { url: 'redis://redis:6379' };
    const shop = (route: { durability?: 'ack' }) =>
      contradictions({
        store,
        pools: {
          shop: pool('app-1', {
            durability: 'replica',
            routes: [{ paths: ['/pay'], onStoreDown: 'serve', ...route }],
          }),
        },
      });
    assert.match(shop({})[0] ?? '', /^pools\.shop\.routes\.0\.onStoreDown: expected "refuse"/);
    assert.deepEqual(shop({ durability: 'ack' }), []);
  });

  test('a route that changes nothing', () => {
    const routes = [{ paths: ['/pay'], methods: ['POST'] }];
    assert.deepEqual(contradictions({ pools: { shop: pool('app-1', { routes }) } }), [
      'pools.shop.routes.0: changes nothing; expected durability, hold or onStoreDown',
    ]);
  });

  test('one journal directory for two agents of one machine', () => {
    const pools = { shop: pool('app-1'), wiki: pool('app-2', { match: { hosts: ['wiki'] } }) };
    const agents = (portOfSecond: number, directory: string) => ({
      'app-1': agent('shop', { listen: '0.0.0.0:9090', journal: { directory: '/var/lib/stickshift' } }),
      'app-2': agent('wiki', { listen: `0.0.0.0:${portOfSecond}`, journal: { directory } }),
    });
    assert.deepEqual(contradictions({ pools, agents: agents(9091, '/var/lib/stickshift/') }), [
      'agents.app-2.journal.directory: agent "app-1" keeps its journal there; each agent needs a directory of its own',
    ]);
    assert.deepEqual(contradictions({ pools, agents: agents(9091, '/var/lib/other') }), []);
    const onTwoMachines = agents(9090, '/var/lib/stickshift');
    assert.deepEqual(contradictions({ pools, agents: onTwoMachines }), []);
  });
});
