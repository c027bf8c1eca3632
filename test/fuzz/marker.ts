import { createHash } from 'node:crypto';
import type { Random } from './random.ts';

const MARKER = /mk[0-9a-f]{16}/g;

/** A word that only one client knows. One that has been damaged is none: its second half vouches for its first. */
export function newMarker(random: Random): string {
  return marker(
    random
      .below(2 ** 32)
      .toString(16)
      .padStart(8, '0'),
  );
}

/** Every marker within a text, each once. */
export function markersIn(text: string): string[] {
  return [...new Set(text.match(MARKER))].filter((found) => found === marker(found.slice(2, 10)));
}

function marker(half: string): string {
  return `mk${half}${createHash('sha256').update(half).digest('hex').slice(0, 8)}`;
}
