// @ts-check

/** @param {string} id */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`The page has no #${id}.`);
  return found;
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Partial<HTMLElementTagNameMap[Tag]>} properties
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// No red: on this page it means that something is down.
const HUES = [258, 162, 312, 205, 92, 60];

/**
 * The same color for the same server everywhere on the page; light enough to read on dark, dark enough on light.
 *
 * @param {string} server
 */
export function colorOf(server) {
  const number = Number(/\d+$/.exec(server)?.[0] ?? 1);
  const hue = HUES[(number - 1) % HUES.length];
  return `light-dark(oklch(48% 0.17 ${hue}), oklch(78% 0.13 ${hue}))`;
}
