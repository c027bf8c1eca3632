import type { PoolPolicy } from '../installation/configuration.ts';
import type { Installation } from '../installation/installation.ts';
import type { BackendName, Pool } from '../installation/layout.ts';
import type { Random } from '../random.ts';

/** One fault of a schedule: nothing but data, so that a seed tells all of it. */
export interface FaultPlan {
  readonly kind: string;
  /** A process, a link, or whatever the kind breaks. */
  readonly target: string;
  /** From the beginning of its round, milliseconds. */
  readonly startMs: number;
  readonly durationMs: number;
  readonly variant?: string;
}

/** What a fault may do, as far as it decides which faults may happen together. */
export interface Effects {
  /** Processes and links that it needs for itself. */
  readonly touches: readonly string[];
  /** Backends that the gateways may take for lost, so that their sessions are taken over. */
  readonly maySeemLost: readonly BackendName[];
  /** Backends whose agents cannot commit meanwhile. */
  readonly storeAwayFor: readonly BackendName[];
  /** The store forgets what it has acknowledged. */
  readonly storeForgets: boolean;
  /** Backends whose clients will notice. */
  readonly concerns: readonly BackendName[];
}

/** Ends a fault and brings back what it has taken; resolves when that is done. */
export type Undo = () => Promise<void>;

/** A kind of fault: chooses what to break, says what that means, and breaks it. */
export interface FaultKind {
  readonly name: string;
  /** How often it is chosen, compared with others. */
  readonly weight: number;
  /** It takes the whole installation, and happens when all is well. */
  readonly alone?: boolean;
  choose(random: Random): Omit<FaultPlan, 'kind' | 'startMs'>;
  effects(plan: FaultPlan): Effects;
  begin(installation: Installation, plan: FaultPlan): Promise<Undo>;
  /** Why it cannot happen here; undefined when it can. */
  unavailable?(installation: Installation): string | undefined;
}

export type Policies = Readonly<Record<Pool, PoolPolicy>>;

export const NO_EFFECTS: Effects = {
  touches: [],
  maySeemLost: [],
  storeAwayFor: [],
  storeForgets: false,
  concerns: [],
};
