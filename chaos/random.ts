/** A stream of pseudo-random numbers: the same seed gives the same stream on every machine. */
export interface Random {
  /** From 0 (inclusive) to 1 (exclusive). */
  next(): number;
  /** A whole number from `from` to `to`, both inclusive. */
  whole(from: number, to: number): number;
  chance(probability: number): boolean;
  pick<T>(choices: readonly [T, ...T[]]): T;
  pick<T>(choices: readonly T[]): T | undefined;
  /** A choice by weight; weights need not sum to anything. */
  weighted<T>(choices: readonly (readonly [T, number])[]): T | undefined;
  /** From `from` to `to`, with every order of magnitude as likely as the next: short times often, long ones too. */
  logUniform(from: number, to: number): number;
  /** A stream of its own: what is drawn from it does not shift what is drawn from this one. */
  fork(label: string): Random;
}

/** splitmix32 over a seed and a label: small, seedable, and good enough to choose what to break next. */
export function seededRandom(seed: number, label = ''): Random {
  let state = seed >>> 0;
  for (const character of label) state = Math.imul(state ^ (character.codePointAt(0) ?? 0), 0x9e3779b1) >>> 0;
  const next = () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
  const pick = <T>(choices: readonly T[]): T | undefined => choices[Math.floor(next() * choices.length)];
  return {
    next,
    whole: (from, to) => from + Math.floor(next() * (to - from + 1)),
    chance: (probability) => next() < probability,
    pick: pick as Random['pick'],
    weighted: (choices) => {
      const total = choices.reduce((sum, [, weight]) => sum + weight, 0);
      let rest = next() * total;
      for (const [choice, weight] of choices) {
        rest -= weight;
        if (rest < 0) return choice;
      }
      return choices.at(-1)?.[0];
    },
    logUniform: (from, to) => from * (to / from) ** next(),
    fork: (forkLabel) => seededRandom(seed, `${label}/${forkLabel}`),
  };
}
