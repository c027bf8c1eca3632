/**
 * What a test needs from the machine. Where it is missing, the tests are skipped, loudly; under `CI` that is a failure,
 * so that no pipeline is green for having tested nothing.
 *
 * @param howToGet - what the reader has to do, as in "install redis-server"
 * @returns options for `describe` or `test`
 * @throws Error under `CI` when the requirement is missing
 */
export function requirement(name: string, available: boolean, howToGet: string): { skip: string | false } {
  if (available) return { skip: false };
  const reason = `needs ${name}: ${howToGet}`;
  if (process.env.CI) throw new Error(`CI is set, so nothing may be skipped: ${reason}`);
  process.stderr.write(`\n*** SKIPPED: ${reason} ***\n\n`);
  return { skip: reason };
}
