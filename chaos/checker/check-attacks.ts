import type { Operation } from '../history/history.ts';
import type { Violation } from './verdict.ts';

/** An ID that is acknowledged to be dead shows nothing of what its session held, nor ever will. */
export function checkAttacks(
  attacks: readonly Operation[],
  sessions: ReadonlyMap<number, readonly Operation[]>,
): Violation[] {
  return attacks.flatMap(({ answer, session, key, number, gateway }) => {
    if (answer === undefined) return [];
    const stolen = answer.tokens.filter((token) => token.startsWith(`${session}.`));
    const generation = sessions.get(session)?.find((operation) => operation.answer?.generation)
      ?.answer?.generation;
    if (stolen.length === 0 && (answer.generation === null || answer.generation !== generation)) return [];
    const message = `a dead ID got an answer from ${answer.server} through ${gateway}, with ${stolen.length} tokens`;
    return [{ kind: 'resurrected', session, key, operation: number, tokens: stolen, message }];
  });
}
