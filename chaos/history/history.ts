import { writeFile } from 'node:fs/promises';
import type { AppAnswer } from '../installation/apps/answer.ts';
import type { GatewayName, Pool } from '../installation/layout.ts';
import type { ObservedCommit } from '../network/commit-tap.ts';

/**
 * `attack`: whoever got hold of the ID of a session that was logged out, or of one from before a login, presents it.
 * `final`: a read when everything has healed, through each gateway.
 */
export type OperationKind = 'append' | 'read' | 'login' | 'logout' | 'attack' | 'final';

/**
 * - `ok`: acknowledged
 * - `refused`: an error that says so; the operation may have taken effect all the same
 * - `indeterminate`: no answer in time, a broken connection, 502 or 504
 */
export type Outcome = 'ok' | 'refused' | 'indeterminate';

export interface Operation {
  readonly number: number;
  readonly pool: Pool;
  /** One session from its first append to its end, however often its ID changes. Of an attack: whose ID was presented. */
  readonly session: number;
  readonly kind: OperationKind;
  /** What an append appends: `<session>.<count>`, unique in a run. */
  readonly token?: string;
  readonly gateway: GatewayName;
  /** Session key of the ID that was presented, to find it in logs; undefined when there was none. */
  readonly key: string | undefined;
  /** Milliseconds since the run began, by a monotonic clock. */
  readonly invokedAt: number;
  readonly completedAt: number;
  readonly outcome: Outcome;
  /** Status and Proxy-Status, or what became of the connection. */
  readonly detail: string;
  /** With `ok` only. */
  readonly answer?: AppAnswer;
}

export interface FaultRecord {
  readonly number: number;
  readonly kind: string;
  readonly target: string;
  readonly variant: string | undefined;
  /** Backends whose clients it may concern. */
  readonly concerns: readonly string[];
  readonly from: number;
  readonly to: number;
}

export interface CommitRecord extends ObservedCommit {}

/** Everything that happened in a run. */
export interface History {
  readonly operations: readonly Operation[];
  readonly faults: readonly FaultRecord[];
  /** The first commit of every owner in every epoch of every session. */
  readonly commits: readonly CommitRecord[];
}

/** Where a run notes what happens; nothing in it ever changes. */
export class HistoryRecorder implements History {
  readonly operations: Operation[] = [];
  readonly faults: FaultRecord[] = [];
  readonly commits: CommitRecord[] = [];
  /** Operations by outcome, counted as they come: every link of the installation stands still while this process counts them anew. */
  readonly outcomes: Record<Outcome, number> = { ok: 0, refused: 0, indeterminate: 0 };
  readonly #began = performance.now();
  readonly #committers = new Set<string>();

  /** Milliseconds since the run began. */
  now(): number {
    return performance.now() - this.#began;
  }

  addOperation(operation: Omit<Operation, 'number'>): Operation {
    const numbered = { number: this.operations.length + 1, ...operation };
    this.operations.push(numbered);
    this.outcomes[numbered.outcome] += 1;
    return numbered;
  }

  addFault(fault: Omit<FaultRecord, 'number'>): void {
    this.faults.push({ number: this.faults.length + 1, ...fault });
  }

  addCommit(commit: ObservedCommit): void {
    const committer = `${commit.key} ${commit.epoch} ${commit.owner}`;
    if (this.#committers.has(committer)) return;
    this.#committers.add(committer);
    this.commits.push({ ...commit, at: commit.at - this.#began });
  }

  /** One JSON object per line, in the order in which things ended. */
  async write(path: string): Promise<void> {
    const lines = [
      ...this.operations.map((operation) => ({ at: operation.completedAt, what: 'operation', ...operation })),
      ...this.faults.map((fault) => ({ at: fault.to, what: 'fault', ...fault })),
      ...this.commits.map((commit) => ({ what: 'first commit', ...commit })),
    ].sort((a, b) => a.at - b.at);
    await writeFile(path, `${lines.map((line) => JSON.stringify(line)).join('\n')}\n`);
  }
}
