// @ts-check

import { byId, colorOf, element } from './elements.js';
import { showServers } from './servers.js';

/**
 * @typedef {{ id: string, name: string }} Item
 * @typedef {{ server: string, since: number }} Stop
 * @typedef {{ server: string, customer: string | null, cart: Item[], journey: Stop[], arrivedFrom: string | null }} Answer
 */

const TRIES = 5;

/** Calls go one after the other: two at once could each save a cart that lacks the other's item. */
let turn = Promise.resolve();

/** What the shop answered last; the servers list marks the one that serves this client. */
let servedBy = '';

/**
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 */
function call(method, path, body) {
  turn = turn.then(async () => {
    try {
      const response = await send(method, path, body);
      const answer = await response.json();
      if (response.ok) {
        say('');
        show(answer);
      } else {
        say(answer.error?.message ?? answer.error ?? `The shop answered ${response.status}.`);
      }
    } catch {
      say('No answer. Is every server down? Try again, or restart one.');
    }
  });
  return turn;
}

/**
 * Reading is repeated when the gateway asks for it (503 with Retry-After); writing is left to the customer.
 *
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 */
async function send(method, path, body) {
  for (let attempt = 1; ; attempt++) {
    const response = await fetch(path, {
      method,
      cache: 'no-store',
      ...(body ? { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) } : {}),
    });
    if (method !== 'GET' || response.status !== 503 || attempt === TRIES) return response;
    const seconds = Number(response.headers.get('retry-after') ?? 1);
    await new Promise((resolve) => setTimeout(resolve, Math.min(seconds, 2) * 1000));
  }
}

/** @param {string} message */
function say(message) {
  const notice = byId('notice');
  notice.hidden = message === '';
  notice.textContent = message;
}

/** @param {Answer} answer */
function show({ server, customer, cart, journey }) {
  if (servedBy !== server) {
    servedBy = server;
    servers.refresh();
  }
  document.title = `${server} · Corner shop`;
  byId('server').textContent = server;
  document.documentElement.style.setProperty('--server-color', colorOf(server));
  byId('origin').textContent = describeOrigin(server, journey);
  byId('journey').replaceChildren(...journey.map(showStop));

  byId('count').textContent = cart.length === 1 ? '1 item' : `${cart.length} items`;
  byId('empty').hidden = cart.length > 0;
  byId('items').replaceChildren(...cart.map(showItem));

  byId('login').hidden = customer !== null;
  byId('account').hidden = customer === null;
  byId('customer').textContent = customer ?? '';
}

/**
 * @param {string} server
 * @param {Stop[]} journey
 */
function describeOrigin(server, journey) {
  const first = journey[0];
  const before = journey.at(-2);
  if (!first) return 'You have no session yet; the first item makes one.';
  if (!before) return `Your session began here and lives in the memory of ${server}.`;
  const began = first.server === before.server ? ', where it began' : `; it began on ${first.server}`;
  // A name must not be broken at its hyphen.
  return `Your session came here from ${before.server}${began}.`.replaceAll('-', '\u2011');
}

/** @param {Stop} stop */
function showStop(stop) {
  const time = new Date(stop.since).toLocaleTimeString();
  const badge = element('span', { className: 'stop' }, `${stop.server} `, element('small', {}, time));
  badge.style.setProperty('--server-color', colorOf(stop.server));
  return element('li', {}, badge);
}

/** @param {Item} item */
function showItem(item) {
  const remove = element('button', { type: 'button', ariaLabel: `Remove ${item.name}` }, 'Remove');
  remove.addEventListener('click', () => call('DELETE', `api/cart/items/${encodeURIComponent(item.id)}`));
  return element('li', {}, element('span', {}, item.name), remove);
}

/**
 * @param {string} form
 * @param {string} input
 * @param {(text: string) => void} send
 */
function onSubmit(form, input, send) {
  byId(form).addEventListener('submit', (event) => {
    event.preventDefault();
    const field = /** @type {HTMLInputElement} */ (byId(input));
    const text = field.value.trim();
    field.value = '';
    if (text) send(text);
  });
}

onSubmit('add', 'item', (name) => call('POST', 'api/cart/items', { name }));
onSubmit('login', 'name', (name) => call('POST', 'api/login', { name }));
byId('logout').addEventListener('click', () => call('POST', 'api/logout', {}));
for (const name of ['Teapot', 'Umbrella', 'Atlas', 'Rye bread']) {
  const button = element('button', { type: 'button' }, name);
  button.addEventListener('click', () => call('POST', 'api/cart/items', { name }));
  byId('quick').append(button);
}

const servers = showServers(() => servedBy, say);
call('GET', 'api/cart');

// The stream breaks with its server, and the next one is answered by the server that the session moves to.
const events = new EventSource('events');
events.addEventListener('server', (event) => {
  const { server } = JSON.parse(event.data);
  if (servedBy && server !== servedBy) call('GET', 'api/cart');
});
