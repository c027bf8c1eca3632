import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type Browser, chromium, type Page } from 'playwright-core';
import { requirement } from '../services/requirement.ts';
import { StickshiftCommand } from './demo-process.ts';

const executablePath = [
  process.env.CHROMIUM,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
].find((path) => path && existsSync(path));

const needsBrowser = requirement(
  'Chromium',
  executablePath !== undefined,
  'install it, as with apt-get install chromium, or name one in CHROMIUM',
);

/** Far beyond what any step takes on a slow machine. */
const BOUND_MS = 30_000;

describe('the demo’s page, in a real browser', needsBrowser, () => {
  let demo: StickshiftCommand;
  let browser: Browser;
  let shop: string;

  before(async () => {
    demo = await StickshiftCommand.start(['demo', '--json', '--port', '0', '--admin-port', '0']);
    shop = (await demo.firstLine()).gatewayUrl;
    browser = await chromium.launch({
      ...(executablePath ? { executablePath } : {}),
      args: ['--no-sandbox'],
    });
  });
  after(async () => {
    await browser?.close();
    await demo?.dispose();
  });

  async function openShop(): Promise<{ page: Page; errors: string[] }> {
    const page = await (await browser.newContext()).newPage();
    page.setDefaultTimeout(BOUND_MS);
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(String(error)));
    await page.goto(shop);
    await settled(page);
    return { page, errors };
  }

  /** The page has heard from the shop, and lists the servers. */
  async function settled(page: Page): Promise<void> {
    await page.locator('#server', { hasText: /^app-\d$/ }).waitFor();
    await page.locator('#servers li').first().waitFor();
  }

  const servedBy = async (page: Page) => (await page.locator('#server').textContent()) ?? '';
  const cart = (page: Page) => page.locator('#items li span').allTextContents();

  async function fill(page: Page): Promise<void> {
    await page.getByRole('button', { name: 'Teapot' }).click();
    await page.locator('#items li', { hasText: 'Teapot' }).waitFor();
    await page.getByLabel('Item to add').fill('A book about gears');
    await page.getByRole('button', { name: 'Add', exact: true }).click();
    await page.locator('#items li', { hasText: 'A book about gears' }).waitFor();
    await page.getByLabel('Your name').fill('Ada');
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByText('Logged in as Ada').waitFor();
  }

  test('the cart and the login survive a click on Kill for the server that holds them', async () => {
    const { page, errors } = await openShop();
    await fill(page);
    const victim = await servedBy(page);

    await page.getByRole('button', { name: `Kill ${victim}` }).click();
    await page.locator('#servers li', { hasText: victim }).getByText('killed').waitFor();
    await page.reload();
    await settled(page);

    const survivor = await servedBy(page);
    assert.notEqual(survivor, victim);
    assert.deepEqual(await cart(page), ['Teapot', 'A book about gears']);
    assert.equal(await page.getByText('Logged in as Ada').isVisible(), true);
    assert.deepEqual(await journey(page), [victim, survivor]);

    await page.getByRole('button', { name: `Restart ${victim}` }).click();
    await page.locator('#servers li', { hasText: victim }).getByText('up', { exact: true }).waitFor();
    assert.equal(await servedBy(page), survivor, 'its session stays where it is');
    assert.deepEqual(errors, []);
    await page.context().close();
  });

  test('the cart moves, without a reload, when its server is drained', async () => {
    const { page, errors } = await openShop();
    await fill(page);
    const drained = await servedBy(page);

    await page.getByRole('button', { name: `Drain ${drained}` }).click();
    await page.locator('#server', { hasNotText: drained }).waitFor();
    assert.deepEqual(await cart(page), ['Teapot', 'A book about gears']);

    await page.getByRole('button', { name: `Make ready ${drained}` }).click();
    await page.locator('#servers li', { hasText: drained }).getByText('up', { exact: true }).waitFor();
    assert.deepEqual(errors, []);
    await page.context().close();
  });

  test('a removed item and a logout stay removed and logged out', async () => {
    const { page } = await openShop();
    await fill(page);
    await page.getByRole('button', { name: 'Remove Teapot' }).click();
    await page.locator('#items li', { hasText: 'Teapot' }).waitFor({ state: 'detached' });
    assert.deepEqual(await cart(page), ['A book about gears']);
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByRole('button', { name: 'Log in' }).waitFor();
    await page.reload();
    await settled(page);
    assert.deepEqual(await cart(page), []);
    await page.context().close();
  });

  async function journey(page: Page): Promise<string[]> {
    const stops = await page.locator('#journey .stop').allTextContents();
    return stops.map((stop) => stop.split(' ')[0] ?? '');
  }
});
