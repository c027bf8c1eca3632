import type { Backend } from '../backends/backend.ts';
import { Drain, type DrainParts } from './drain.ts';
import type { DrainProgress } from './drain-progress.ts';

export type DrainsOptions = DrainParts;

/** The drains of this gateway, at most one for each backend. */
export interface Drains {
  /**
   * Begins, or begins again with another deadline. The caller has set `adminState`; `maintenance` is a deadline of 0.
   *
   * @param deadlineMs - how long what is in flight may go on
   */
  start(backend: Backend, deadlineMs: number): DrainProgress;
  /** Of the drain under way, or of the last one since the backend was `ready`. */
  progress(backend: Backend): DrainProgress | undefined;
  /** Ends the drain, if there is one, and has the backend's older bindings checked. The caller sets `adminState`. */
  cancel(backend: Backend): void;
  /** Ends all drains; the gateway is stopping. */
  close(): void;
}

export function createDrains(options: DrainsOptions): Drains {
  const drains = new Map<Backend, Drain>();
  // Sessions that were released may be anywhere by now, so what cookies say of this backend is not to be believed.
  const distrustBindings = (backend: Backend) => {
    backend.upSince = Math.max(Date.now(), backend.ejectedUntil);
    backend.lease.distrust();
  };

  return {
    start: (backend, deadlineMs) => {
      drains.get(backend)?.cancel();
      const drain = new Drain(backend, deadlineMs, options);
      drains.set(backend, drain);
      drain
        .run()
        .catch((error) => options.logger.error({ err: error, backend: backend.id }, 'drain failed'))
        // A release that was under way when the drain was cancelled has come to its end only now.
        .then(() => {
          if (!drains.has(backend)) distrustBindings(backend);
        });
      return drain.progress;
    },
    progress: (backend) => drains.get(backend)?.progress,
    cancel: (backend) => {
      drains.get(backend)?.cancel();
      drains.delete(backend);
      distrustBindings(backend);
    },
    close: () => {
      for (const drain of drains.values()) drain.cancel();
    },
  };
}
