import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import { StickshiftError } from '../protocol/errors.ts';
import { loadConfig, parseConfig } from './load.ts';
import { ConfigError } from './problems.ts';

const directory = mkdtempSync(join(tmpdir(), 'stickshift-config-'));
after(() => rmSync(directory, { recursive: true }));

const SECRET = 'secret: 0123456789abcdef0123456789abcdef\n';
const POOL = `pools:
  shop:
    session: { cookie: sid }
    backends:
      app-1: { url: http://app-1:80, agent: http://app-1:9090 }
`;

function parse(text: string, env: NodeJS.ProcessEnv = {}) {
  return parseConfig(text, { file: 'stickshift.yaml', env }).config;
}

/** The lines of the error that the text gives. */
function problemsOf(text: string, env: NodeJS.ProcessEnv = {}): string[] {
  try {
    parse(text, env);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    assert.equal(error.code, 'CONFIG_INVALID');
    return error.message.split('\n');
  }
  assert.fail('the configuration was accepted');
}

describe('a configuration that is right', () => {
  test('gets every default', () => {
    const config = parse(SECRET + POOL);
    assert.equal(config.gateway.listen, '127.0.0.1:8080');
    assert.equal(config.gateway.timeouts.firstByte, 60_000);
    assert.equal(config.gateway.limits.spool, 1024 * 1024);
    assert.equal(config.pools.shop?.backends['app-1']?.weight, 100);
  });

  test('may have sections of which every line is commented out', () => {
    const config = parse(`${SECRET}gateway:\n  admin:\n    # listen: 127.0.0.1:9000\nagents:\n`);
    assert.equal(config.gateway.admin.listen, '127.0.0.1:8081');
    assert.deepEqual(config.agents, {});
  });

  test('may repeat itself by anchors and merge keys', () => {
    const config = parse(`${SECRET}pools:
  shop:
    session: { cookie: sid }
    backends:
      app-1: &backend { url: http://app-1:80, agent: http://app-1:9090, weight: 7 }
      app-2: { <<: *backend, url: http://app-2:80, agent: http://app-2:9090 }
`);
    assert.equal(config.pools.shop?.backends['app-2']?.weight, 7);
  });

  test('is found by path, by STICKSHIFT_CONFIG and by path first', () => {
    const [one, other] = [join(directory, 'one.yaml'), join(directory, 'other.yaml')];
    writeFileSync(one, SECRET);
    writeFileSync(other, SECRET);
    assert.equal(loadConfig({ path: one, env: {} }).file, one);
    assert.equal(loadConfig({ env: { STICKSHIFT_CONFIG: other } }).file, other);
    assert.equal(loadConfig({ path: one, env: { STICKSHIFT_CONFIG: other } }).file, one);
  });
});

describe('a configuration that is wrong', () => {
  test('is an error that names file, line, column, key and what was expected', () => {
    assert.deepEqual(problemsOf(`${SECRET}${POOL.replace('session', 'balance: foo\n    session')}`), [
      'stickshift.yaml:4:5  pools.shop.balance: expected one of "least-connections", "round-robin", "rendezvous", got "foo"',
    ]);
  });

  test('has all of its problems told at once, in the order of the file', () => {
    const problems = problemsOf(`secret: short
gateway:
  timeouts: { head: 10, move: soon }
  workers: several
  accessLog: perhaps
  limits: { connections: 0 }
pools:
  Shop!: {}
  shop:
    session: {}
    backends: {}
    match: { paths: [shop] }
agents:
  app-1: { pool: shop, source: { type: ftp } }
`);
    assert.deepEqual(problems, [
      'stickshift.yaml:1:1  secret: expected at least 32 characters; `openssl rand -hex 32` makes some',
      'stickshift.yaml:3:15  gateway.timeouts.head: expected a duration with a unit, such as 500ms, 30s or 2h, got 10',
      'stickshift.yaml:3:25  gateway.timeouts.move: expected a duration with a unit, such as 500ms, 30s or 2h, got "soon"',
      'stickshift.yaml:4:3  gateway.workers: expected a whole number from 1 to 64, or auto, got "several"',
      'stickshift.yaml:5:3  gateway.accessLog: expected true or false, got "perhaps"',
      'stickshift.yaml:6:13  gateway.limits.connections: expected a number of more than 0, got 0',
      'stickshift.yaml:8:3  pools.Shop!: expected a name of lower-case letters, digits, dots, dashes (at most 63)',
      'stickshift.yaml:10:5  pools.shop.session: expected at least one of cookie, header, query, pathParameter',
      'stickshift.yaml:11:5  pools.shop.backends: expected at least one backend',
      'stickshift.yaml:12:22  pools.shop.match.paths.0: expected text that starts with "/", got "shop"',
      'stickshift.yaml:14:34  agents.app-1.source.type: expected one of "express", "files", got "ftp"',
    ]);
  });

  test('has unknown keys named, with the key that was probably meant', () => {
    assert.deepEqual(
      problemsOf(`${SECRET}gatewey: {}\ngateway:\n  timeouts: { first_byte: 3s }\n  zzz: 1\n`),
      [
        'stickshift.yaml:2:1  gatewey: unknown key (did you mean "gateway"?)',
        'stickshift.yaml:4:15  gateway.timeouts.first_byte: unknown key (did you mean "firstByte"?)',
        'stickshift.yaml:5:3  gateway.zzz: unknown key',
      ],
    );
  });

  test('has missing settings pointed at where they belong', () => {
    assert.deepEqual(problemsOf(`agents:\n  app-1:\n    pool: shop\n    source: { type: files }\n`), [
      'stickshift.yaml:1:1  secret: is missing; expected text',
      'stickshift.yaml:4:5  agents.app-1.source.directory: is missing; expected text',
    ]);
  });

  test('has waits refused that no timer keeps, and those of nothing where that would mean two things', () => {
    assert.deepEqual(problemsOf(`${SECRET}store: { settle: 25d }\n`), [
      'stickshift.yaml:2:10  store.settle: expected 24d at most',
    ]);
    const waits =
      'gateway: { timeouts: { firstByte: 0s, move: 30d, hold: 90s, keepAlive: 0s, shutdown: 0s } }\n';
    assert.deepEqual(problemsOf(`${SECRET}${waits}`), [
      'stickshift.yaml:2:24  gateway.timeouts.firstByte: expected more than 0s and 24d at most',
      'stickshift.yaml:2:39  gateway.timeouts.move: expected more than 0s and 24d at most',
      'stickshift.yaml:2:50  gateway.timeouts.hold: expected more than 0s and 60s at most',
    ]);
  });

  test('has text advised to be quoted where YAML reads a number', () => {
    assert.deepEqual(problemsOf('secret: 0123456789\n'), [
      'stickshift.yaml:1:1  secret: expected text; put it in quotes',
    ]);
  });

  test('never shows a secret', () => {
    const text = `secret: hunter2\nstore:\n  url: redis:hunter2\n  encryption: { keys: [hunter2] }\ngateway: { admin: { token: hunter2 } }\n`;
    const problems = problemsOf(text, { STICKSHIFT_GATEWAY_AFFINITY_KEYS: 'hunter2' });
    assert.equal(problems.length, 5);
    for (const line of problems) assert.doesNotMatch(line, /hunter2/);
  });

  test('has a backend that is there twice named, whatever its quotes', () => {
    const backends = (id: string) =>
      problemsOf(
        `${SECRET}pools:\n  shop:\n    session: { cookie: sid }\n    backends:\n      app-1: { url: "http://a", agent: "http://b" }\n      ${id}: { url: "http://c", agent: "http://d" }\n`,
      );
    for (const id of ['app-1', '"app-1"', "'app-1'"]) {
      assert.deepEqual(backends(id), [
        `stickshift.yaml:7:7  ${id} stands in this section already; each name may stand there once`,
      ]);
    }
  });

  test('has what is wrong with a route located, and mistyped keys recognised', () => {
    const routes = (entry: string) =>
      problemsOf(
        `${SECRET}pools:\n  shop:\n    session: { cookie: sid }\n    backends: { a: { url: "http://a", agent: "http://b" } }\n    routes:\n      - ${entry}\n`,
      );
    assert.deepEqual(routes('{ paths: [/pay], durabilty: ack }'), [
      'stickshift.yaml:7:26  pools.shop.routes.0.durabilty: unknown key (did you mean "durability"?)',
    ]);
    assert.deepEqual(routes('{ paths: [/pay], durability: acks }'), [
      'stickshift.yaml:7:26  pools.shop.routes.0.durability: expected one of "async", "ack", "replica", got "acks"',
    ]);
    assert.deepEqual(routes('{ paths: [/pay], hold: never, methods: [post] }'), [
      'stickshift.yaml:7:49  pools.shop.routes.0.methods.0: expected a method in capitals, such as POST, got "post"',
    ]);
  });

  test('has YAML mistakes located', () => {
    const [duplicate] = problemsOf(`${SECRET}gateway: {}\ngateway: {}\n`);
    assert.match(duplicate ?? '', /^stickshift\.yaml:3:1 {2}gateway stands in this section already/);
    const [unclosed] = problemsOf(`${SECRET}gateway: { listen: 'a\n`);
    assert.match(unclosed ?? '', /^stickshift\.yaml:\d+:\d+ {2}not YAML: /);
    const [alias] = problemsOf(`${SECRET}gateway: *nowhere\n`);
    assert.match(alias ?? '', /not YAML: .*nowhere/);
  });

  test('may not expand without bound', () => {
    const bomb = ['a: &a [x,x,x,x,x,x,x,x,x,x]'];
    for (const [from, to] of ['ab', 'bc', 'cd', 'de', 'ef', 'fg'].map((pair) => [...pair])) {
      bomb.push(`${to}: &${to} [${Array(10).fill(`*${from}`).join(',')}]`);
    }
    assert.match(problemsOf(bomb.join('\n'))[0] ?? '', /not YAML: .*alias/i);
  });

  test('is no configuration when it is a list or a word', () => {
    assert.deepEqual(problemsOf('- a\n'), ['stickshift.yaml:1:1  expected a section, got a list']);
    assert.deepEqual(problemsOf('word'), ['stickshift.yaml:1:1  expected a section, got "word"']);
  });

  test('that is not there is an error that says how to name another', () => {
    const path = join(directory, 'nowhere.yaml');
    assert.throws(
      () => loadConfig({ path, env: {} }),
      (error) =>
        error instanceof StickshiftError && /there is no .*nowhere\.yaml.*--config/.test(error.message),
    );
  });

  test('of any shape is refused with positions inside the file, never with another error', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
        const keys = ['secret', 'store', 'gateway', 'pools', 'agents'];
        for (const text of [value, ...keys.map((key) => ({ [key]: value }))].map((v) => JSON.stringify(v))) {
          try {
            parse(text);
          } catch (error) {
            assert.ok(error instanceof ConfigError, `${text}: ${error}`);
            for (const { origin } of error.problems) {
              assert.ok('line' in origin && origin.line === 1 && origin.column <= text.length + 1, text);
            }
          }
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('the environment', () => {
  const config = SECRET + POOL;

  test('wins over the file, for every type of setting', () => {
    const { gateway, store, pools } = parse(config, {
      STICKSHIFT_GATEWAY_LISTEN: '0.0.0.0:80',
      STICKSHIFT_GATEWAY_TIMEOUTS_FIRST_BYTE: '3s',
      STICKSHIFT_GATEWAY_LIMITS_CONNECTIONS: '12',
      STICKSHIFT_GATEWAY_WORKERS: '4',
      STICKSHIFT_GATEWAY_ACCESS_LOG: 'true',
      STICKSHIFT_GATEWAY_TRUSTED_PROXIES: '10.0.0.0/8, 192.168.0.1',
      STICKSHIFT_POOLS_SHOP_BACKENDS_APP_1_URL: 'http://elsewhere:81',
      STICKSHIFT_STORE: 'redis://redis:6379',
    });
    assert.equal(gateway.listen, '0.0.0.0:80');
    assert.equal(gateway.timeouts.firstByte, 3_000);
    assert.equal(gateway.limits.connections, 12);
    assert.equal(gateway.workers, 4);
    assert.equal(gateway.accessLog, true);
    assert.deepEqual(gateway.trustedProxies, ['10.0.0.0/8', '192.168.0.1']);
    assert.equal(pools.shop?.backends['app-1']?.url, 'http://elsewhere:81');
    assert.equal(store.url, 'redis://redis:6379');
  });

  test('tells which of its variables were used', () => {
    const { variables } = parseConfig(POOL, {
      file: 'f',
      env: { STICKSHIFT_SECRET: 'x'.repeat(32), STICKSHIFT_LOG_LEVEL: 'debug', HOME: '/' },
    });
    assert.deepEqual(variables, ['STICKSHIFT_SECRET']);
  });

  test('reads secrets from files, and nothing else', () => {
    const file = join(directory, 'secret');
    writeFileSync(file, `${'s'.repeat(40)}\n`);
    assert.equal(parse('', { STICKSHIFT_SECRET_FILE: file }).secret, 's'.repeat(40));
    assert.match(
      problemsOf(config, { STICKSHIFT_GATEWAY_LISTEN_FILE: file })[0] ?? '',
      /^STICKSHIFT_GATEWAY_LISTEN_FILE {2}is no setting \(did you mean STICKSHIFT_GATEWAY_LISTEN\?\)$/,
    );
    assert.match(
      problemsOf(config, { STICKSHIFT_SECRET_FILE: join(directory, 'none') })[0] ?? '',
      /^STICKSHIFT_SECRET_FILE {2}cannot read .*ENOENT/,
    );
  });

  test('may not set the same twice', () => {
    const env = { STICKSHIFT_STORE: 'redis://a:1', STICKSHIFT_STORE_URL: 'redis://b:1' };
    assert.deepEqual(problemsOf(config, env), [
      'STICKSHIFT_STORE_URL  store.url: is set by another variable too; leave one of them out',
    ]);
  });

  test('sets what is a number or a word, and neither too small nor too large', () => {
    assert.equal(parse(config).gateway.workers, 1);
    assert.equal(parse(config, { STICKSHIFT_GATEWAY_WORKERS: 'auto' }).gateway.workers, 'auto');
    for (const workers of ['0', '65', '1.5', 'all']) {
      const [problem = ''] = problemsOf(config, { STICKSHIFT_GATEWAY_WORKERS: workers });
      assert.match(problem, /gateway\.workers: expected a whole number from 1 to 64, or auto, got/);
    }
  });

  test('counts a variable that is set to nothing as not set', () => {
    assert.equal(parse(config, { STICKSHIFT_GATEWAY_LISTEN: '' }).gateway.listen, '127.0.0.1:8080');
  });

  test('is named, not the file, when its value is wrong', () => {
    assert.deepEqual(
      problemsOf(config, {
        STICKSHIFT_GATEWAY_LISTEN: 'everywhere',
        STICKSHIFT_GATEWAY_LIMITS_CONNECTIONS: 'many',
        STICKSHIFT_POOLS_SHOP_MATCH_PATHS: '/a,b',
      }),
      [
        'STICKSHIFT_GATEWAY_LISTEN  gateway.listen: expected host:port, such as 127.0.0.1:8080, got "everywhere"',
        'STICKSHIFT_GATEWAY_LIMITS_CONNECTIONS  gateway.limits.connections: expected a number, got "many"',
        'STICKSHIFT_POOLS_SHOP_MATCH_PATHS  pools.shop.match.paths.1: expected text that starts with "/", got "b"',
      ],
    );
  });

  test('is refused, with the nearest name, where it names no setting', () => {
    assert.deepEqual(
      problemsOf(config, {
        STICKSHIFT_GATEWAY_LISTENS: '0.0.0.0:80',
        STICKSHIFT_POOLS_SHOP_BACKENDS_APP_2_URL: 'http://app-2',
        STICKSHIFT_COLOUR_OF_THE_BIKE_SHED: 'red',
      }),
      [
        'STICKSHIFT_GATEWAY_LISTENS  is no setting (did you mean STICKSHIFT_GATEWAY_LISTEN?)',
        'STICKSHIFT_POOLS_SHOP_BACKENDS_APP_2_URL  is no setting (did you mean STICKSHIFT_POOLS_SHOP_BACKENDS_APP_1_URL?)',
        'STICKSHIFT_COLOUR_OF_THE_BIKE_SHED  is no setting; a pool, backend or agent that it names must stand in the file',
      ],
    );
  });

  test('may hold what other parts of Stickshift and what Kubernetes puts there', () => {
    parse(config, {
      STICKSHIFT_LOG_LEVEL: 'debug',
      STICKSHIFT_ADMIN_URL: 'http://127.0.0.1:1',
      STICKSHIFT_TEST_LOG: 'x',
      STICKSHIFT_DEMO_X: 'x',
      STICKSHIFT_GATEWAY_SERVICE_HOST: '10.0.0.1',
      STICKSHIFT_GATEWAY_SERVICE_PORT_HTTP: '80',
      STICKSHIFT_GATEWAY_PORT: 'tcp://10.0.0.1:80',
      STICKSHIFT_GATEWAY_PORT_80_TCP_ADDR: '10.0.0.1',
    });
  });

  test('is refused where two names in the file read the same in capitals', () => {
    const twins = `${POOL}      app.1: { url: http://app-2:80, agent: http://app-2:9090 }\n`;
    assert.deepEqual(problemsOf(SECRET + twins, { STICKSHIFT_POOLS_SHOP_BACKENDS_APP_1_WEIGHT: '1' }), [
      'STICKSHIFT_POOLS_SHOP_BACKENDS_APP_1_WEIGHT  stands for pools.shop.backends.app-1.weight and pools.shop.backends.app.1.weight; set them in the file',
    ]);
  });
});
