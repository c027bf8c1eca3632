import type { Logger } from 'pino';
import { asStickshiftError, StickshiftError } from '../../protocol/errors.ts';
import { ATTRIBUTE } from '../../protocol/telemetry-names.ts';
import type { RecordSummary, SnapshotStore } from '../../store/snapshot-store.ts';
import type { AgentClient } from '../agent-client/agent-client.ts';
import type { Backend } from '../backends/backend.ts';
import type { BackendReports } from '../health/backend-reports.ts';
import { assertPlausible, isBackendsTrouble, isPassing, notInTime } from './adopt-answer.ts';
import { servesMeanwhile } from './availability.ts';
import type { Placement, Search } from './placement.ts';

export interface OwnersOptions {
  readonly store: Pick<SnapshotStore, 'settlingMs'>;
  readonly agentClient: AgentClient;
  readonly health: BackendReports;
  readonly logger: Logger;
}

/** Asks the agents of owners whether they have what they are said to have. */
export class Owners {
  readonly #options: OwnersOptions;

  constructor(options: OwnersOptions) {
    this.#options = options;
  }

  /**
   * Has the owner make sure that its app has the session, since either may have been started anew: PHP does not ask for a file
   * that it misses, it begins an empty session.
   *
   * @throws StickshiftError `SESSION_UNKNOWN` when the owner is there and cannot tell
   */
  async confirm(
    search: Search,
    record: RecordSummary,
    owner: Backend,
  ): Promise<Placement | 'again' | 'later'> {
    const { store, agentClient, health, logger } = this.#options;
    const { session, lost, silent, patience } = search;
    let passing: string | undefined;
    try {
      const request = { sessionId: session.id, ifEpoch: record.epoch, reason: 'unowned' } as const;
      const stamp = owner.lease.stamp();
      const answer = await agentClient.adopt(owner, request);
      assertPlausible(answer, record, owner);
      switch (answer.outcome) {
        case 'found':
          if (answer.incarnation) health.agentAnswered(owner, answer.incarnation);
          return { backend: owner, epoch: answer.epoch, outcome: 'stays', stamp };
        case 'unknown':
          if (isPassing(answer.code)) passing = answer.code;
          else if (!isBackendsTrouble(answer.code)) {
            throw new StickshiftError('SESSION_UNKNOWN', `the owner cannot tell: ${answer.code}`);
          }
          break;
        default:
          // While the store settles, it may know less of the session than its owner, who is about to write it again.
          if (store.settlingMs === 0) return 'again';
          passing = 'STORE_SETTLING';
      }
    } catch (error) {
      const failure = asStickshiftError(error);
      if (failure.source !== 'agent') throw failure;
      if (failure.code === 'AGENT_UNREACHABLE') health.agentFailed(owner);
      if (failure.code === 'AGENT_NO_ANSWER') silent.add(owner);
      logger.warn({ err: failure, [ATTRIBUTE.sessionKey]: session.key }, 'owner gave no good answer');
    }
    if (passing !== undefined) {
      const code = passing;
      await patience.pause(() => notInTime(code, store.settlingMs));
      return 'later';
    }
    lost.add(owner);
    return 'again';
  }

  /**
   * Whether the bound agent holds the session, for when the store cannot tell: what it holds is good until a commit says
   * otherwise, so a store that is away or settling does not lock out those who need no move.
   */
  async boundHolds({ session, hint: { bound, boundEpoch, exclude } }: Search): Promise<boolean> {
    const { agentClient, logger } = this.#options;
    if (!bound || boundEpoch === 0 || !servesMeanwhile(bound, exclude)) return false;
    try {
      const request = { sessionId: session.id, ifEpoch: boundEpoch, reason: 'unowned' } as const;
      return (await agentClient.adopt(bound, request)).outcome === 'found';
    } catch (error) {
      logger.warn({ err: error, [ATTRIBUTE.sessionKey]: session.key }, 'bound agent cannot tell either');
      return false;
    }
  }
}
