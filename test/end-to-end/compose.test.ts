import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { newTally } from '../../demo/check/report.ts';
import { Shopper } from '../../demo/check/shopper.ts';
import { ADMIN_API, type BackendStatus, type StatusAnswer } from '../../gateway/admin-api/admin-api-types.ts';
import { eventually } from '../services/eventually.ts';
import { ComposeProject, composeRequirement } from './compose-project.ts';

const BUILD_AND_START_MS = 280_000;

describe('the installation of compose.yaml', composeRequirement, () => {
  let project: ComposeProject;
  const shoppers: Shopper[] = [];

  before(
    async () => {
      project = await ComposeProject.plan();
      try {
        await project.run('up', '--build', '--detach');
        await eventually('all three servers take clients', async () => {
          const status = await backends().catch(() => []);
          return status.length === 3 && status.every((backend) => backend.accepting);
        });
      } catch (error) {
        await showLogs();
        throw error;
      }
    },
    { timeout: BUILD_AND_START_MS },
  );

  afterEach(async (context) => {
    if ('passed' in context && context.passed === false) await showLogs();
  });

  after(async () => {
    for (const shopper of shoppers) shopper.leave();
    await project?.down();
  });

  async function showLogs(): Promise<void> {
    process.stderr.write(await project.run('logs', '--no-color', '--tail', '40'));
  }

  async function backends(): Promise<readonly BackendStatus[]> {
    const response = await fetch(new URL(ADMIN_API.status, project.adminUrl), {
      headers: { authorization: `Bearer ${project.adminToken}` },
    });
    assert.equal(response.status, 200);
    const { pools } = (await response.json()) as StatusAnswer;
    return pools.flatMap((pool) => pool.backends);
  }

  async function fillCarts(name: string, count: number): Promise<Shopper[]> {
    const made = Array.from(
      { length: count },
      (_, index) =>
        new Shopper({
          name: `${name}-${index + 1}`,
          shopUrl: project.shopUrl,
          tally: newTally(),
          onCall: () => undefined,
        }),
    );
    shoppers.push(...made);
    for (const shopper of made) {
      for (let item = 0; item < 3; item++) assert.equal(await shopper.add(), 'acknowledged');
    }
    return made;
  }

  for (const service of ['redis', 'gateway', 'agent-1', 'app-1']) {
    test(`finds ${service} healthy`, async () => {
      await eventually(`${service} is healthy`, async () => {
        return (await project.inspect(service, '{{.State.Health.Status}}')) === 'healthy';
      });
    });
  }

  test('keeps every cart when app-1 and its agent are killed', async () => {
    const carts = await fillCarts('before', 30);
    const onVictim = carts.filter((shopper) => shopper.server === 'app-1');
    assert.ok(onVictim.length > 0, 'app-1 holds carts');

    await project.run('kill', 'app-1', 'agent-1');

    for (const shopper of carts) assert.deepEqual(await shopper.audit(), [], shopper.name);
    for (const shopper of onVictim) assert.notEqual(shopper.server, 'app-1');
    for (const shopper of carts) assert.equal(await shopper.add(), 'acknowledged', shopper.name);
    for (const shopper of carts) assert.deepEqual(await shopper.audit(), [], shopper.name);
    assert.equal(
      await project.inspect('app-1', '{{.State.Running}}'),
      'false',
      'what was killed stays killed',
    );
  });

  test('gives load to a server that comes back', async () => {
    await project.run('start', 'agent-1', 'app-1');
    await eventually('app-1 takes clients', async () => {
      return (await backends()).some(({ id, accepting }) => id === 'app-1' && accepting);
    });
    const newcomers = await fillCarts('after', 30);
    assert.ok(newcomers.some((shopper) => shopper.server === 'app-1'));
    for (const shopper of shoppers) assert.deepEqual(await shopper.audit(), [], shopper.name);
  });

  test('keeps every cart when only the app server is killed, and its agent lives on', async () => {
    const onVictim = shoppers.filter((shopper) => shopper.server === 'app-3');
    assert.ok(onVictim.length > 0, 'app-3 holds carts');
    await project.run('kill', 'app-3');
    for (const shopper of shoppers) assert.deepEqual(await shopper.audit(), [], shopper.name);
    for (const shopper of onVictim) assert.notEqual(shopper.server, 'app-3');
    await project.run('start', 'app-3');
    await eventually('app-3 takes clients', async () => {
      return (await backends()).some(({ id, accepting }) => id === 'app-3' && accepting);
    });
  });

  test('keeps every cart when app-2 is drained by the command line inside the gateway’s container', async () => {
    await project.run('exec', '-T', 'gateway', 'stickshift', 'drain', 'app-2');
    await eventually('app-2 is drained', async () => {
      const drain = (await backends()).find(({ id }) => id === 'app-2')?.drain;
      return drain?.state === 'complete';
    });
    for (const shopper of shoppers) assert.deepEqual(await shopper.audit(), [], shopper.name);
    assert.ok(shoppers.every((shopper) => shopper.server !== 'app-2'));
  });

  for (const service of ['gateway', 'agent-2', 'app-2']) {
    test(`runs ${service} as nobody in particular, on a file system that it cannot write`, async () => {
      const uid = await project.run('exec', '-T', service, 'id', '-u');
      assert.notEqual(uid.trim(), '0');
      await assert.rejects(project.run('exec', '-T', service, 'touch', '/opt/here'), /[Rr]ead-only/);
    });
  }
});
