// @ts-check
import { byId, colorOf, element } from './elements.js';

/**
 * @typedef {'up' | 'starting' | 'draining' | 'drained' | 'down' | 'killed'} State
 * @typedef {{ id: string, state: State, sessions: number | null, inFlight: number | null }} Backend
 */

const POLL_MS = 1_000;

/** @type {Record<State, [label: string, className: string]>} */
const STATES = {
  up: ['up', 'state-up'],
  starting: ['starting', 'state-wait'],
  draining: ['draining', 'state-wait'],
  drained: ['drained', 'state-wait'],
  down: ['down', 'state-down'],
  killed: ['killed', 'state-down'],
};

/**
 * Keeps the list of servers current. A shop without the demo's control server has none, and the list stays hidden.
 *
 * @param {() => string} servedBy
 * @param {(message: string) => void} say
 * @returns {{ refresh(): void }}
 */
export function showServers(servedBy, say) {
  let shown = '';
  let timer = 0;

  async function refresh() {
    clearTimeout(timer);
    const backends = await askBackends();
    byId('with-control').hidden = backends === 'none';
    byId('without-control').hidden = backends !== 'none';
    if (backends === 'none') return;
    const now = JSON.stringify([backends, servedBy()]);
    // Rebuilt only when something changed: a button must not vanish under the pointer or lose the focus.
    if (backends && now !== shown) {
      shown = now;
      byId('servers-card').hidden = false;
      const up = backends.filter((backend) => backend.state === 'up').length;
      byId('gateway-note').textContent = `${up} of ${backends.length} take new clients`;
      render(backends, servedBy(), say);
    }
    clearTimeout(timer);
    timer = setTimeout(refresh, POLL_MS);
  }

  refresh();
  return { refresh };
}

/** @returns {Promise<Backend[] | 'none' | undefined>} */
async function askBackends() {
  try {
    const response = await fetch('demo/backends', { cache: 'no-store' });
    if (response.status === 404) return 'none';
    return response.ok ? (await response.json()).backends : undefined;
  } catch {
    return undefined;
  }
}

/**
 * @param {Backend[]} backends
 * @param {string} servedBy
 * @param {(message: string) => void} say
 */
function render(backends, servedBy, say) {
  const focused = document.activeElement?.getAttribute('data-deed');
  const othersUp = (/** @type {Backend} */ one) =>
    backends.some((backend) => backend !== one && backend.state === 'up');
  byId('servers').replaceChildren(
    ...backends.map((backend) => showBackend(backend, servedBy === backend.id, othersUp(backend), say)),
  );
  const again = [...document.querySelectorAll('[data-deed]')].find(
    (button) => button.getAttribute('data-deed') === focused,
  );
  if (again instanceof HTMLElement) again.focus();
}

/**
 * @param {Backend} backend
 * @param {boolean} servesYou
 * @param {boolean} othersUp
 * @param {(message: string) => void} say
 */
function showBackend(backend, servesYou, othersUp, say) {
  const [label, className] = STATES[backend.state];
  const dot = element('span', { className: 'dot', ariaHidden: 'true' });
  dot.style.setProperty('--server-color', colorOf(backend.id));
  const who = element(
    'div',
    { className: 'who' },
    dot,
    element('strong', {}, backend.id),
    element('span', { className: `state ${className}` }, label),
  );
  if (servesYou) who.append(element('span', { className: 'you' }, 'serves you'));
  who.append(element('span', { className: 'facts' }, describeLoad(backend)));

  const deeds = element('div', { className: 'deeds' });
  const offer = (/** @type {string} */ deed, /** @type {string} */ text, last = false) => {
    const button = element('button', { type: 'button', ariaLabel: `${text} ${backend.id}` }, text);
    button.dataset.deed = `${deed} ${backend.id}`;
    if (deed === 'kill') button.className = 'danger';
    button.disabled = last;
    if (last) button.title = 'The last server that is up serves this page.';
    button.addEventListener('click', () => act(backend.id, deed, button, say));
    deeds.append(button);
  };
  if (backend.state === 'killed') offer('restart', 'Restart');
  else {
    if (backend.state === 'draining' || backend.state === 'drained') offer('ready', 'Make ready');
    else offer('drain', 'Drain', !othersUp);
    offer('kill', 'Kill', !othersUp);
  }
  return element('li', {}, who, deeds);
}

/** @param {Backend} backend */
function describeLoad({ sessions, inFlight }) {
  if (sessions === null) return '';
  const held = sessions === 1 ? '1 session' : `${sessions} sessions`;
  return inFlight === null ? held : `${held}, ${inFlight} in flight`;
}

/**
 * @param {string} id
 * @param {string} deed
 * @param {HTMLButtonElement} button
 * @param {(message: string) => void} say
 */
async function act(id, deed, button, say) {
  button.disabled = true;
  try {
    const response = await fetch(`demo/backends/${id}/${deed}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    });
    if (!response.ok) say((await response.json()).error?.message ?? `${deed} ${id} was refused.`);
  } catch {
    say(`No answer to “${deed} ${id}”.`);
  }
}
