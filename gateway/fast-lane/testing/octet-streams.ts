import fc from 'fast-check';

/** Octets that parsers trip over come up often, all others now and then. One character per octet. */
const anyOctet = fc.oneof(
  fc.constantFrom('\0', '\t', '\n', '\r', ' ', ':', ';', ',', '0', 'a', '\x7f', '\x80', '\xff'),
  fc.integer({ min: 0, max: 255 }).map((octet) => String.fromCharCode(octet)),
);

export function octets(constraints: { readonly maxLength: number }): fc.Arbitrary<string> {
  return fc.string({ unit: anyOctet, ...constraints });
}

/** What may stand in a field value, a reason phrase or a chunk extension. */
export const visibleText = fc.string({
  unit: fc.constantFrom('a', 'Z', '0', ' ', '\t', ':', ';', ',', '"', '=', '\x80', '\xff'),
  maxLength: 12,
});

/** The same texts with up to three octets replaced, put in, or taken out. */
export function damaged(texts: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const damage = fc.record({ at: fc.nat(), taken: fc.nat({ max: 1 }), put: octets({ maxLength: 1 }) });
  return fc.tuple(texts, fc.array(damage, { maxLength: 3 })).map(([text, damages]) =>
    damages.reduce((rest, { at, taken, put }) => {
      const from = at % (rest.length + 1);
      return rest.slice(0, from) + put + rest.slice(from + taken);
    }, text),
  );
}

/** Where a stream is torn; {@link tornAt} takes what generates. */
export const cuts = fc.array(fc.nat(), { maxLength: 8 });

/** The text's octets in pieces, which may be empty ones. */
export function tornAt(text: string, at: readonly number[]): Buffer[] {
  const places = at.map((place) => place % (text.length + 1)).sort((a, b) => a - b);
  return [0, ...places].map((from, index) => Buffer.from(text.slice(from, places[index]), 'latin1'));
}
