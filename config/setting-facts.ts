import * as z from 'zod';

/** What zod does not know about a setting, and people and the environment need to. */
export interface SettingFacts {
  /** A number with a unit, written as text; or one that may be left to the machine. */
  readonly unit?: 'duration' | 'size' | 'whole number or auto';
  /** Never shown in an error or a log; may be read from a file, named by `<VARIABLE>_FILE`. */
  readonly secret?: true;
}

/** Filled by the schema itself, where the settings are declared. */
export const settingFacts = z.registry<SettingFacts>();
