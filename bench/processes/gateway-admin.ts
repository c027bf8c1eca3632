import { ADMIN_API, type AdminState, type BackendStatus } from '../../gateway/admin-api/admin-api-types.ts';
import type { GatewayProcess } from './gateway.ts';

/** @param deadlineMs - how long a drain may take */
export async function setBackendState(
  { adminUrl }: GatewayProcess,
  backend: string,
  state: AdminState,
  deadlineMs = 60_000,
): Promise<void> {
  const response = await fetch(adminUrl + ADMIN_API.backendState(backend), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(state === 'drain' ? { state, deadlineMs } : { state }),
  });
  if (!response.ok) throw new Error(`${backend} to ${state}: ${response.status} ${await response.text()}`);
}

export async function backendStatus({ adminUrl }: GatewayProcess, backend: string): Promise<BackendStatus> {
  const response = await fetch(adminUrl + ADMIN_API.backend(backend));
  if (!response.ok) throw new Error(`${backend}: ${response.status} ${await response.text()}`);
  return (await response.json()) as BackendStatus;
}
