import type { Logger } from 'pino';
import { StickshiftError } from '../../protocol/errors.ts';
import { parseAnnouncement } from '../announcement.ts';
import type {
  AnnounceResult,
  BackendAnnouncement,
  BackendStateChange,
  SharedBackendState,
} from '../snapshot-store.ts';
import { wholeNumber } from '../whole-number.ts';
import type { DatabaseFile } from './database-file.ts';

/** What agents announce and what operators ask for. To be called within a transaction when it writes. */
export class BackendTable {
  readonly #file: DatabaseFile;
  readonly #log: Logger;

  constructor(file: DatabaseFile, logger: Logger) {
    this.#file = file;
    this.#log = logger;
  }

  announce(backend: BackendAnnouncement, ttlMs: number): AnnounceResult {
    const now = Date.now();
    const row = this.#file
      .prepare('SELECT announcement FROM announcements WHERE application = ? AND id = ? AND expires_at > ?')
      .get(backend.application, backend.id, now);
    const other = row && this.#parse(row.announcement, backend.id);
    if (other && other.incarnation !== backend.incarnation && other.agent !== backend.agent) {
      return { outcome: 'claimed', by: other };
    }
    this.#file
      .prepare(`
        INSERT OR REPLACE INTO announcements (application, id, incarnation, announcement, expires_at)
        VALUES (?, ?, ?, ?, ?)`)
      .run(
        backend.application,
        backend.id,
        backend.incarnation,
        JSON.stringify(backend),
        now + wholeNumber(ttlMs, 'ttlMs'),
      );
    return { outcome: 'announced' };
  }

  withdraw({
    application,
    id,
    incarnation,
  }: Pick<BackendAnnouncement, 'application' | 'id' | 'incarnation'>): void {
    this.#file
      .prepare('DELETE FROM announcements WHERE application = ? AND id = ? AND incarnation = ?')
      .run(application, id, incarnation);
  }

  announced(): BackendAnnouncement[] {
    return this.#file
      .prepare('SELECT id, announcement FROM announcements WHERE expires_at > ?')
      .all(Date.now())
      .flatMap((row) => this.#parse(row.announcement, row.id) ?? []);
  }

  setState({ application, backend, state, deadlineMs }: BackendStateChange): SharedBackendState {
    const deadlineAt = state === 'ready' ? 0 : Date.now() + wholeNumber(deadlineMs, 'deadlineMs');
    this.#file
      .prepare(`
        INSERT INTO backend_states (application, backend, state, deadline_at, revision) VALUES (?, ?, ?, ?, 1)
        ON CONFLICT DO UPDATE
          SET state = excluded.state, deadline_at = excluded.deadline_at, revision = revision + 1`)
      .run(application, backend, state, deadlineAt);
    const set = this.states(application).find((each) => each.backend === backend);
    if (set === undefined)
      throw new StickshiftError('STORE_INVALID', 'a state that was just set is not there');
    return set;
  }

  states(application: string): SharedBackendState[] {
    const now = Date.now();
    return this.#file
      .prepare('SELECT backend, state, deadline_at, revision FROM backend_states WHERE application = ?')
      .all(application)
      .map((row) => ({
        application,
        backend: String(row.backend),
        // The table's CHECK lets nothing else in.
        state: row.state as SharedBackendState['state'],
        remainingMs: Math.max(0, Number(row.deadline_at) - now),
        revision: Number(row.revision),
      }));
  }

  /** One malformed announcement must not hide the other backends. */
  #parse(text: unknown, id: unknown): BackendAnnouncement | undefined {
    try {
      return parseAnnouncement(String(text));
    } catch (error) {
      this.#log.warn({ err: error, backend: id }, 'announcement skipped');
      return undefined;
    }
  }
}
