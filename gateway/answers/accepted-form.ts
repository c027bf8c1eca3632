/** The forms in which an error can be told. */
export type ErrorForm = 'json' | 'html' | 'text';

// A Map, because what a client names must not be looked for in Object.prototype.
const FORMS: ReadonlyMap<string, ErrorForm> = new Map([
  ['application/problem+json', 'json'],
  ['application/json', 'json'],
  ['application/*', 'json'],
  ['*/*', 'json'],
  ['text/html', 'html'],
  ['application/xhtml+xml', 'html'],
  ['text/plain', 'text'],
  ['text/*', 'text'],
]);

/** More of an Accept header is not read: nobody has so many wishes. */
const MAX_LENGTH = 1024;

/** The form that a client likes best, the first of equals; JSON when it does not say or likes none of them. */
export function acceptedForm(accept: string | undefined): ErrorForm {
  if (accept === undefined) return 'json';
  let best: ErrorForm = 'json';
  let highest = 0;
  for (const range of accept.slice(0, MAX_LENGTH).split(',')) {
    const [type = '', ...parameters] = range.split(';');
    const form = FORMS.get(type.trim().toLowerCase());
    if (form === undefined) continue;
    const quality = qualityOf(parameters);
    if (quality > highest) {
      highest = quality;
      best = form;
    }
  }
  return best;
}

function qualityOf(parameters: readonly string[]): number {
  for (const parameter of parameters) {
    const match = /^\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*$/i.exec(parameter);
    if (match) return Number(match[1]);
  }
  return 1;
}
