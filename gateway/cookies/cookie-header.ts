const SPACE = 0x20;
const TAB = 0x09;
const EQUALS = 0x3d;

/**
 * Where the value of the next cookie of that name begins, or -1. It reads the header as the `cookie` package does, but builds
 * nothing: a request pays for the cookies that are asked for, not for those that it carries.
 *
 * @param from - 0, or what the last call returned, to find a duplicate
 */
export function nextCookie(header: string, name: string, from: number): number {
  let start = from;
  if (from > 0) {
    const semicolon = header.indexOf(';', from);
    if (semicolon === -1) return -1;
    start = semicolon + 1;
  }
  for (;;) {
    const at = valueStart(header, name, start);
    if (at > 0) return at;
    const semicolon = header.indexOf(';', start);
    if (semicolon === -1) return -1;
    start = semicolon + 1;
  }
}

/** The value that begins there, without the blanks around it. */
export function cookieValueAt(header: string, at: number): string {
  const semicolon = header.indexOf(';', at);
  let start = at;
  let end = semicolon === -1 ? header.length : semicolon;
  while (start < end && isBlank(header.charCodeAt(start))) start++;
  while (end > start && isBlank(header.charCodeAt(end - 1))) end--;
  return header.slice(start, end);
}

/**
 * The header without the cookies of that name, every other byte as it was; `undefined` when nothing is left.
 *
 * A header without such a cookie is returned as it is.
 */
export function stripCookie(header: string, name: string): string | undefined {
  if (nextCookie(header, name, 0) === -1) return header;
  const pairs = header.split(';');
  const kept = pairs.filter((pair) => valueStart(pair, name, 0) === 0);
  const rest = kept.join(';');
  if (rest.trim() === '') return undefined;
  // A cookie that has become the first leaves behind the blank that parted it from the one in front.
  return kept[0] === pairs[0] ? rest : rest.trimStart();
}

/** Where the value begins if the pair at `start` has that name, else 0. */
function valueStart(header: string, name: string, start: number): number {
  let at = start;
  while (isBlank(header.charCodeAt(at))) at++;
  if (!header.startsWith(name, at)) return 0;
  at += name.length;
  while (isBlank(header.charCodeAt(at))) at++;
  return header.charCodeAt(at) === EQUALS ? at + 1 : 0;
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}
