import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { MemoryStore } from 'express-session';
import { WebSocket } from 'ws';
import type { ShopAnswer } from './api.ts';
import { createShop, type Shop } from './shop.ts';

/** A browser's share: one cookie, JSON bodies. */
class Visitor {
  cookie = '';
  base: string;

  constructor(base: string) {
    this.base = base;
  }

  async send(method: string, path: string, body?: object) {
    const response = await fetch(`${this.base}${path}`, {
      method,
      headers: { cookie: this.cookie, ...(body ? { 'content-type': 'application/json' } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const setCookie = response.headers.get('set-cookie')?.split(';')[0];
    if (setCookie) this.cookie = setCookie;
    return { response, answer: (await response.json()) as ShopAnswer };
  }
}

describe('the demo shop', () => {
  const store = new MemoryStore();
  const shops: Shop[] = [];
  const bases: string[] = [];

  before(async () => {
    // Two servers with one memory stand for one session that was moved.
    for (const name of ['app-1', 'app-2']) {
      const shop = createShop({ name, store, sessionSecret: 'for tests only' });
      shop.server.listen(0, '127.0.0.1');
      await once(shop.server, 'listening');
      bases.push(`http://127.0.0.1:${(shop.server.address() as AddressInfo).port}`);
      shops.push(shop);
    }
  });
  after(() => Promise.all(shops.map((shop) => shop.close())));

  const visitor = (server = 0) => new Visitor(bases[server] ?? '');

  test('keeps a cart in order, and names the server that answers', async () => {
    const client = visitor();
    await client.send('POST', '/api/cart/items', { id: 'a', name: 'Teapot' });
    const { response, answer } = await client.send('POST', '/api/cart/items', { id: 'b', name: 'Atlas' });
    assert.equal(response.status, 201);
    assert.equal(response.headers.get('x-shop-server'), 'app-1');
    assert.equal(response.headers.get('x-shop-session'), 'local');
    assert.deepEqual(
      answer.cart.map((item) => item.id),
      ['a', 'b'],
    );
    const removed = await client.send('DELETE', '/api/cart/items/a');
    assert.deepEqual(removed.answer.cart, [{ id: 'b', name: 'Atlas' }]);
  });

  test('adds the same item twice when it is asked twice, so that a repeated request shows', async () => {
    const client = visitor();
    await client.send('POST', '/api/cart/items', { id: 'same', name: 'Teapot' });
    const { answer } = await client.send('POST', '/api/cart/items', { id: 'same', name: 'Teapot' });
    assert.equal(answer.cart.length, 2);
  });

  test('tells of a session that moved once, and then counts it as its own', async () => {
    const client = visitor();
    await client.send('POST', '/api/cart/items', { name: 'Teapot' });
    client.base = bases[1] ?? '';
    const moved = await client.send('GET', '/api/cart');
    assert.equal(moved.response.headers.get('x-shop-session'), 'moved');
    assert.equal(moved.answer.arrivedFrom, 'app-1');
    assert.deepEqual(
      moved.answer.journey.map((stop) => stop.server),
      ['app-1', 'app-2'],
    );
    const again = await client.send('GET', '/api/cart');
    assert.equal(again.response.headers.get('x-shop-session'), 'local');
    assert.equal(again.answer.arrivedFrom, null);
    assert.equal(again.answer.journey.length, 2);
  });

  test('makes no session for a client that only looks', async () => {
    const client = visitor();
    const { response, answer } = await client.send('GET', '/api/cart');
    assert.equal(response.headers.get('set-cookie'), null);
    assert.equal(response.headers.get('x-shop-session'), 'none');
    assert.deepEqual(answer.cart, []);
  });

  test('gives the session a new ID at login and keeps the cart', async () => {
    const client = visitor();
    await client.send('POST', '/api/cart/items', { id: 'a', name: 'Teapot' });
    const before = client.cookie;
    const { answer } = await client.send('POST', '/api/login', { name: 'Ada' });
    assert.notEqual(client.cookie, before);
    assert.equal(answer.customer, 'Ada');
    assert.equal(answer.cart.length, 1);
    const old = visitor();
    old.cookie = before;
    assert.deepEqual((await old.send('GET', '/api/cart')).answer.cart, []);
  });

  test('ends the session at logout', async () => {
    const client = visitor();
    await client.send('POST', '/api/login', { name: 'Ada' });
    const cookie = client.cookie;
    await client.send('POST', '/api/logout');
    client.cookie = cookie;
    assert.equal((await client.send('GET', '/api/cart')).answer.customer, null);
  });

  test('refuses malformed items with 400 and no trace of its insides', async () => {
    const client = visitor();
    for (const body of [{}, { name: '' }, { name: 7 }, { name: 'x'.repeat(81) }, { name: 'x', id: '' }, []]) {
      const { response } = await client.send('POST', '/api/cart/items', body);
      assert.equal(response.status, 400, JSON.stringify(body));
    }
    const broken = await fetch(`${bases[0]}/api/cart/items`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"name":',
    });
    assert.equal(broken.status, 400);
    assert.doesNotMatch(await broken.text(), /node_modules|at /);
  });

  test('tells its name on an event stream', async () => {
    const response = await fetch(`${bases[1]}/events`);
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    while (reader && !text.includes('\n\n')) text += (await reader.read()).value ?? '';
    await reader?.cancel();
    assert.match(text, /event: server\ndata: \{"server":"app-2"/);
  });

  test('answers a WebSocket with the cart as it is now', async () => {
    const client = visitor();
    await client.send('POST', '/api/cart/items', { name: 'Teapot' });
    const socket = new WebSocket(`${(bases[0] ?? '').replace('http', 'ws')}/ws`, {
      headers: { cookie: client.cookie },
    });
    await once(socket, 'open');
    await client.send('POST', '/api/cart/items', { name: 'Atlas' });
    const reply = once(socket, 'message');
    socket.send('hello');
    assert.deepEqual(JSON.parse(String((await reply)[0])), { server: 'app-1', echo: 'hello', cartSize: 2 });
    socket.close();
    await once(socket, 'close');
  });

  test('has no buttons to kill when it runs without the demo', async () => {
    const response = await fetch(`${bases[0]}/demo/backends`);
    assert.equal(response.status, 404);
  });
});
