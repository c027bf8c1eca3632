import * as z from 'zod';
import { settingFacts } from './setting-facts.ts';

const DURATION_UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const SIZE_UNITS = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;
const SIZE = /^(\d+)(B|KiB|MiB|GiB)$/;

/** Reads `250ms`, `30s`, `1.5h` as milliseconds; `undefined` when the text is no duration. */
export function parseDuration(text: string): number | undefined {
  const match = DURATION.exec(text);
  if (!match) return undefined;
  return Math.round(Number(match[1]) * DURATION_UNITS[match[2] as keyof typeof DURATION_UNITS]);
}

/** Reads `16KiB`, `1MiB` as bytes; `undefined` when the text is no size. */
export function parseSize(text: string): number | undefined {
  const match = SIZE.exec(text);
  if (!match) return undefined;
  return Number(match[1]) * SIZE_UNITS[match[2] as keyof typeof SIZE_UNITS];
}

const durationText = () =>
  z
    .string()
    .regex(DURATION, 'expected a duration with a unit, such as 500ms, 30s or 2h')
    .register(settingFacts, { unit: 'duration' });

/** A duration with a unit; its output is milliseconds. */
export function duration(fallback: string) {
  return durationText()
    .default(fallback)
    .transform((text) => parseDuration(text) as number);
}

/** Longest that a timer waits: what is longer would be over after a millisecond. */
const LONGEST_WAIT = '24d';

interface WaitLimits {
  /** Longest, with its unit. Default: `24d`. */
  readonly atMost?: string;
  /** 0 has a meaning. Otherwise it is refused: some would take it for no limit, and others for no time at all. */
  readonly mayBeZero?: boolean;
}

/** A duration with a unit that something waits for; its output is milliseconds. */
export function wait(fallback: string, { atMost = LONGEST_WAIT, mayBeZero = false }: WaitLimits = {}) {
  const most = parseDuration(atMost) as number;
  const fits = (text: string) => {
    const ms = parseDuration(text) ?? most;
    return ms <= most && (ms > 0 || mayBeZero);
  };
  return durationText()
    .refine(fits, { error: `expected ${mayBeZero ? '' : 'more than 0s and '}${atMost} at most` })
    .default(fallback)
    .transform((text) => parseDuration(text) as number);
}

/** A duration that may be left out; its output is milliseconds or undefined. */
export function optionalDuration() {
  return durationText()
    .optional()
    .transform((text) => (text === undefined ? undefined : (parseDuration(text) as number)));
}

/** A size with a unit; its output is bytes. */
export function size(fallback: string) {
  return z
    .string()
    .regex(SIZE, 'expected a size with a unit, such as 64KiB or 1MiB')
    .register(settingFacts, { unit: 'size' })
    .default(fallback)
    .transform((text) => parseSize(text) as number);
}
