/** How one parameter's value is found in a request target. */
export interface FoundParameter {
  /** As it stands in the target, still percent-encoded. */
  readonly value: string;
  /** The parameter occurs again, with another value. */
  readonly ambiguous: boolean;
}

/** A query parameter of a target in origin form; the first of that name counts. */
export function queryParameter(target: string, name: string): FoundParameter | undefined {
  const question = target.indexOf('?');
  return question === -1 ? undefined : firstPair(target, question, target.length, '&', name);
}

/**
 * A path parameter of a target in origin form, as in `/cart;jsessionid=abc/items;page=2?x`: every segment may have several.
 * The name is compared exactly, as servlet containers do.
 */
export function pathParameter(target: string, name: string): FoundParameter | undefined {
  const question = target.indexOf('?');
  const end = question === -1 ? target.length : question;
  const semicolon = target.indexOf(';');
  return semicolon === -1 ? undefined : firstPair(target, semicolon, end, ';', name);
}

/** The first `name=value` behind a separator within `[start, end)`; `start` is itself a separator. */
function firstPair(
  target: string,
  start: number,
  end: number,
  separator: '&' | ';',
  name: string,
): FoundParameter | undefined {
  let first: string | undefined;
  for (let at = start; at !== -1 && at < end; at = target.indexOf(separator, at + 1)) {
    const equals = at + 1 + name.length;
    if (!target.startsWith(name, at + 1) || target[equals] !== '=') continue;
    const value = target.slice(equals + 1, valueEnd(target, equals + 1, end, separator));
    if (first === undefined) first = value;
    else if (first !== value) return { value: first, ambiguous: true };
  }
  return first === undefined ? undefined : { value: first, ambiguous: false };
}

/** A query value ends with its pair, a path value with its pair or its segment. */
function valueEnd(target: string, from: number, end: number, separator: '&' | ';'): number {
  for (let at = from; at < end; at++) {
    const character = target[at];
    if (character === separator || (separator === ';' && character === '/')) return at;
  }
  return end;
}
