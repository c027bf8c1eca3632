import type { Logger } from 'pino';
import { asStickshiftError, StickshiftError } from '../../protocol/errors.ts';
import { ATTRIBUTE } from '../../protocol/telemetry-names.ts';
import type { RecordSummary, SnapshotStore } from '../../store/snapshot-store.ts';
import type { AgentClient } from '../agent-client/agent-client.ts';
import type { Backend } from '../backends/backend.ts';
import type { GatewayCounters } from '../counters.ts';
import type { KnownBindings } from '../sessions/known-bindings.ts';
import type { SessionReference } from '../sessions/session-reference.ts';
import type { Stamp } from './stamp.ts';

/** A request that a backend has answered, and what was believed of its session when it was sent. */
export interface SentRequest {
  readonly backend: Backend;
  readonly session: SessionReference;
  /** Of the session's record; 0 when it had none, or nobody had said. */
  readonly epoch: number;
  readonly stamp: Stamp | undefined;
}

interface AnswerCheckOptions {
  readonly store: SnapshotStore;
  readonly agentClient: Pick<AgentClient, 'adopt'>;
  readonly known: KnownBindings;
  readonly counters: GatewayCounters;
  readonly logger: Logger;
}

/**
 * The last look at an answer, reads too, before its first byte goes out. A request may have been under way on an app server that
 * was paused, or cut off, while its session moved on; such an answer is of another time. Only when the lease can no longer vouch for
 * the session is the record asked; so an answer in the ordinary course of things costs a comparison.
 */
export class AnswerCheck {
  readonly #options: AnswerCheckOptions;

  constructor(options: AnswerCheckOptions) {
    this.#options = options;
  }

  /** Since the request was routed the lease was interrupted, or the session recalled: {@link confirm} has to decide. */
  isDue({ backend, session, stamp }: SentRequest): boolean {
    return !backend.lease.vouchesFor(stamp, session.ref);
  }

  /**
   * Resolves when the record says that the session is still where the request was sent; or, while the store cannot tell, when the
   * agent there does, as one is asked then for a request.
   *
   * @param retires - the answer itself replaces the session's ID or takes it away
   * @throws StickshiftError `COMMIT_FENCED`, `COMMIT_ENDED`; `COMMIT_UNKNOWN` when neither can tell
   */
  async confirm(request: SentRequest, { retires }: { readonly retires: boolean }): Promise<void> {
    const { known, counters, logger } = this.#options;
    const { session, backend } = request;
    let record: RecordSummary | undefined;
    try {
      record = await this.#lookup(session);
      assertStillThere(record, request, retires);
      counters.answersChecked.confirmed += 1;
    } catch (error) {
      if (!record && (await this.#isHeld(request, error))) {
        counters.answersChecked.confirmed += 1;
        return;
      }
      counters.answersChecked.withheld += 1;
      // While the store is away the owner that it names is the one to ask, and not whoever the client believes in.
      known.doubt(
        session.ref,
        record && { backend: session.pool.backends.get(record.owner), epoch: record.epoch },
      );
      logger.warn(
        { err: error, [ATTRIBUTE.sessionKey]: session.key, backend: backend.id },
        'answer withheld: its session may have moved meanwhile',
      );
      throw error;
    }
  }

  /** A store that is away must not lock those out who need no move; an agent that hears nothing from it gives no leases either. */
  async #isHeld({ backend, session, epoch }: SentRequest, failure: unknown): Promise<boolean> {
    const { agentClient, logger } = this.#options;
    if (asStickshiftError(failure).code !== 'COMMIT_UNKNOWN' || epoch === 0) return false;
    try {
      const question = { sessionId: session.id, ifEpoch: epoch, reason: 'unowned' } as const;
      return (await agentClient.adopt(backend, question)).outcome === 'found';
    } catch (error) {
      logger.warn({ err: error, [ATTRIBUTE.sessionKey]: session.key }, 'the agent cannot tell either');
      return false;
    }
  }

  async #lookup(session: SessionReference): Promise<RecordSummary | undefined> {
    const { store } = this.#options;
    const record = await store.lookup(session.key).catch((error: unknown) => {
      throw new StickshiftError('COMMIT_UNKNOWN', 'the record could not be looked up', { cause: error });
    });
    // It may have forgotten a change of owner, and would confirm the one before.
    if (store.settlingMs > 0) throw new StickshiftError('COMMIT_UNKNOWN', 'the store has yet to settle');
    return record;
  }
}

function assertStillThere(
  record: RecordSummary | undefined,
  { backend, epoch }: SentRequest,
  retires: boolean,
): void {
  if (!record) {
    if (epoch === 0) return;
    throw new StickshiftError('COMMIT_FENCED', 'the record of the session is gone');
  }
  if (record.state === 'ended') {
    // Logged out where the request was: by this one, or beside it.
    if (retires || record.owner === backend.id) return;
    throw new StickshiftError('COMMIT_ENDED', 'the session was logged out elsewhere');
  }
  // One epoch more at the same owner: it was let go and taken up again, and the app may have been without it in between.
  const isSame = epoch === 0 || record.epoch === epoch;
  if (record.state !== 'active' || record.owner !== backend.id || !isSame) {
    throw new StickshiftError('COMMIT_FENCED', `the session is at ${record.owner}, epoch ${record.epoch}`);
  }
}
