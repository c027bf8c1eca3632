import type { Leases } from '../leases/leases.ts';
import type { OwnedSession } from '../ownership/owned-session.ts';

/**
 * Changes that somebody waits for, while the store is away and the journal is not for them. They may be lost yet, and the app shows
 * them to whoever reads the session. So gateways are told to ask before they send another request of it here, and whoever asks
 * is not told that the session is here before its changes are safe.
 */
export class UnsavedWrites {
  readonly #leases: Pick<Leases, 'tell'>;

  constructor(leases: Pick<Leases, 'tell'>) {
    this.#leases = leases;
  }

  /** The changes of these sessions will not be saved soon. */
  note(sessions: Iterable<OwnedSession>): void {
    const ids: string[] = [];
    for (const session of sessions) {
      if (session.showsUnsaved || !session.isDirty || session.isJournaled) continue;
      session.noteUnsaved();
      ids.push(session.id);
    }
    if (ids.length > 0) this.#leases.tell(ids);
  }
}
