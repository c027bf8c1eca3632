import type { CommitRecord } from '../history/history.ts';
import type { Violation } from './verdict.ts';

/** In one epoch of one session, only one backend commits. */
export function checkOwners(commits: readonly CommitRecord[]): Violation[] {
  const owners = new Map<string, string>();
  const violations: Violation[] = [];
  for (const { key, epoch, owner } of commits) {
    const reign = `${key} ${epoch}`;
    const first = owners.get(reign) ?? owner;
    owners.set(reign, first);
    if (first === owner) continue;
    violations.push({
      kind: 'two-owners',
      session: undefined,
      key,
      operation: undefined,
      tokens: [],
      message: `${first} and ${owner} both committed in epoch ${epoch}`,
    });
  }
  return violations;
}
