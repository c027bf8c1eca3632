/** Octets by what they may be part of; an octet is an index. */
function table(matches: RegExp): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, octet) => Number(matches.test(String.fromCharCode(octet))));
}

/** RFC 9110, 5.6.2. */
export const TOKEN = table(/[!#$%&'*+.^_`|~0-9A-Za-z-]/);
/** RFC 9110, 5.5: what a field value may hold, blanks within it too. */
export const FIELD_VALUE = table(/[\t\x20-\x7e\x80-\xff]/);
/** Value of a hexadecimal digit, or 255. */
export const HEX = Uint8Array.from({ length: 256 }, (_, octet) => {
  const value = Number.parseInt(String.fromCharCode(octet), 16);
  return Number.isNaN(value) ? 255 : value;
});

export const TAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SPACE = 0x20;
export const COLON = 0x3a;
export const SEMICOLON = 0x3b;
