import { SpanStatusCode, trace } from '@opentelemetry/api';
import { asStickshiftError } from '../protocol/errors.ts';
import type { SessionKey } from '../protocol/session-key.ts';
import { ATTRIBUTE, SPAN } from '../protocol/telemetry-names.ts';
import type { SnapshotStore } from './snapshot-store.ts';

const tracer = trace.getTracer('stickshift');

/**
 * Shows each operation on a record as a span of the trace it belongs to. It begins no trace by itself: what an agent
 * commits in the background is nobody's request.
 */
export function tracedStore(store: SnapshotStore): SnapshotStore {
  return {
    lookup: (key) => spanned('lookup', key, () => store.lookup(key)),
    read: (key) => spanned('read', key, () => store.read(key)),
    commit: (key, commit) => spanned('commit', key, () => store.commit(key, commit)),
    touch: (key, touch) => spanned('touch', key, () => store.touch(key, touch)),
    release: (key, release) => spanned('release', key, () => store.release(key, release)),
    adopt: (key, adopt) => spanned('adopt', key, () => store.adopt(key, adopt)),
    end: (key, end) => spanned('end', key, () => store.end(key, end)),
    replace: (key, change) => spanned('replace', key, () => store.replace(key, change)),
    announce: (backend, ttlMs) => store.announce(backend, ttlMs),
    withdraw: (backend) => store.withdraw(backend),
    backends: () => store.backends(),
    watchTaken: (owner, watcher) => store.watchTaken(owner, watcher),
    setBackendState: (change) => store.setBackendState(change),
    backendStates: (application) => store.backendStates(application),
    get settlingMs() {
      return store.settlingMs;
    },
    onSettling: (listener) => store.onSettling(listener),
    prolongSettling: (ms) => store.prolongSettling(ms),
    check: () => store.check(),
    close: () => store.close(),
  };
}

type Answer = { readonly outcome: string } | { readonly state: string } | undefined;

function spanned<A extends Answer>(operation: string, key: SessionKey, run: () => Promise<A>): Promise<A> {
  if (!trace.getActiveSpan()?.isRecording()) return run();
  const attributes = { [ATTRIBUTE.operation]: operation, [ATTRIBUTE.sessionKey]: key };
  return tracer.startActiveSpan(SPAN.store, { attributes }, async (span) => {
    try {
      const answer = await run();
      span.setAttribute(ATTRIBUTE.outcome, outcomeOf(answer));
      return answer;
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR, message: asStickshiftError(error).code });
      throw error;
    } finally {
      span.end();
    }
  });
}

/** Of a record that was looked up, the state. */
function outcomeOf(answer: Answer): string {
  if (!answer) return 'absent';
  return 'outcome' in answer ? answer.outcome : answer.state;
}
