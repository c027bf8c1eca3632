import type { SpanContext } from '@opentelemetry/api';
import type { HandoffReason } from '../../protocol/agent-api.ts';
import type { Backend } from '../backends/backend.ts';
import type { Stamp } from '../leases/stamp.ts';
import type { SessionReference } from '../sessions/session-reference.ts';
import type { Patience } from './patience.ts';

/** Where a session is, after it was looked up and, if need be, moved. */
export interface Placement {
  readonly backend: Backend;
  /** Epoch of the record, also of a tombstone; 0 when there is none. */
  readonly epoch: number;
  /**
   * `stays`: its owner serves it; `moved`: rehydrated on a new owner; `absent`: no record, any backend will do; `ended`:
   * logged out, and any backend will do for whatever begins instead.
   */
  readonly outcome: 'stays' | 'moved' | 'absent' | 'ended';
  /** As of when this was right: taken before anybody was asked. */
  readonly stamp: Stamp | undefined;
  /** Of `moved`: the span that tells how, if it is recorded. */
  readonly handoff?: SpanContext;
}

/** What the request said, and what it has tried already. */
export interface PlacementHint {
  /** Backend that the client believes to be bound to. */
  readonly bound: Backend | undefined;
  readonly boundEpoch: number;
  /** Backends that refused this request's connection. */
  readonly exclude: ReadonlySet<Backend>;
}

/** One session on its way to its place, and what has been learned on that way. */
export interface Search {
  readonly session: SessionReference;
  readonly hint: PlacementHint;
  /** Backends that cannot serve or take it, whatever their health says. */
  readonly lost: Set<Backend>;
  /** Backends whose agents have let a question of this search go unanswered: they are asked nothing more. */
  readonly silent: Set<Backend>;
  /** Targets whose adopt ended without an answer: it may have happened, so the same target is asked again. */
  readonly unanswered: Map<Backend, HandoffKind>;
  readonly patience: Patience;
}

export interface HandoffKind {
  readonly reason: HandoffReason;
  /** From the last commit, without the old owner's help. */
  readonly isTakeover: boolean;
}

/**
 * A step on that way: the place, or `again`: the record is not what it was, read it again; `later`: somebody is at work on it, and
 * it was waited for a little.
 */
export type Step = Placement | 'again' | 'later';
