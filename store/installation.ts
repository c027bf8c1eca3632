import { StickshiftError } from '../protocol/errors.ts';

/**
 * Two installations must not share a store unknowingly: their session keys differ, so neither would ever find the
 * other's sessions, but backends and drains of equal names would mix.
 *
 * @param found - fingerprint that the store carries
 */
export function foreignStore(label: string, found: string, ours: string): StickshiftError {
  return new StickshiftError(
    'STORE_FOREIGN',
    `the store ${label} belongs to another installation: it carries the fingerprint ${found}, this configuration's secret ` +
      `gives ${ours}. Give each installation a store of its own, or the same secret`,
  );
}
