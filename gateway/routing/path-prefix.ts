/**
 * Whether a request target lies under a path prefix: `/shop` holds `/shop`, `/shop/cart`, `/shop?x` and `/shop;id=1`, but
 * not `/shopping`.
 *
 * @param target - in origin form
 */
export function isUnder(prefix: string, target: string): boolean {
  if (prefix === '/') return true;
  if (!target.startsWith(prefix)) return false;
  if (prefix.endsWith('/')) return true;
  const next = target[prefix.length];
  return next === undefined || next === '/' || next === '?' || next === ';';
}
