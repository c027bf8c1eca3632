import type { History, Operation } from '../history/history.ts';
import { checkAttacks } from './check-attacks.ts';
import { checkOwners } from './check-owners.ts';
import { checkSession } from './check-session.ts';
import { type Verdict, verdictOf } from './verdict.ts';

/** Holds a history to what is promised; nothing but the history decides. */
export function checkHistory(history: Pick<History, 'operations' | 'commits'>): Verdict {
  const sessions = new Map<number, Operation[]>();
  const attacks: Operation[] = [];
  for (const operation of history.operations) {
    if (operation.kind === 'attack') {
      attacks.push(operation);
      continue;
    }
    const own = sessions.get(operation.session);
    if (own) own.push(operation);
    else sessions.set(operation.session, [operation]);
  }
  return verdictOf([
    ...[...sessions.values()].flatMap(checkSession),
    ...checkAttacks(attacks, sessions),
    ...checkOwners(history.commits),
  ]);
}
