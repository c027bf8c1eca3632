import type { Backend } from '../backends/backend.ts';

/** @param lost - backends that have just shown themselves to be away, whatever their health says */
export function isAlive(backend: Backend, lost: ReadonlySet<Backend>): boolean {
  return backend.isUp(Date.now()) && !lost.has(backend);
}

/** Still serves what cannot be had elsewhere. */
export function isDrained(backend: Backend, lost: ReadonlySet<Backend>): boolean {
  return backend.adminState !== 'ready' && isAlive(backend, lost);
}

/** Serves the sessions that it owns. */
export function serves(backend: Backend, lost: ReadonlySet<Backend>): boolean {
  return backend.adminState === 'ready' && isAlive(backend, lost);
}

/** Serves the sessions that it owns, or does so until they can leave: a drain is in no hurry, maintenance is. */
export function servesMeanwhile(backend: Backend, lost: ReadonlySet<Backend>): boolean {
  return backend.adminState !== 'maintenance' && isAlive(backend, lost);
}
