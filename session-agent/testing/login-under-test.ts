import { commitAll, keyOf, PATIENCE_MS, startTestAgent } from './agent-under-test.ts';

/** So long that a test in which it runs out fails for it. */
export const NEVER = 600_000;
export const QUIET = { written: NEVER, named: 0, silence: NEVER };
/** How long a question is asked whose answer is "not known" for as long as one asks. */
export const SHORT_MS = 300;

/** A visitor with a cart, who is about to log in. */
export async function aboutToLogIn(times: Partial<typeof QUIET> = {}) {
  const idChangeTimes = { replacementTimes: { ...QUIET, ...times }, decisionMs: SHORT_MS };
  const test = await startTestAgent({ idChangeTimes });
  const { agent, source, store } = test;
  source.write('old', 'cart');
  await commitAll(agent, 'old');
  const ask = (...ids: string[]) => agent.commit(ids, PATIENCE_MS);
  const outcomes = async (...ids: string[]) => (await ask(...ids)).map(({ outcome }) => outcome);
  const state = (id: string) => store.records.get(keyOf(id))?.state;
  return { ...test, ask, outcomes, state };
}
