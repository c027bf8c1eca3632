import assert from 'node:assert/strict';
import type { BackendStatus, StatusAnswer } from '../../gateway/admin-api/admin-api-types.ts';
import type { GatewayCounters } from '../../gateway/counters.ts';
import { eventually } from './eventually.ts';

interface Gateway {
  readonly adminUrl: string;
}

/** With the counters that nobody is promised. */
type WholeStatus = StatusAnswer & { readonly gateway: GatewayCounters };

/** What a gateway says of itself and of everything behind it. */
export async function statusOf(gateway: Gateway): Promise<WholeStatus> {
  return (await (await fetch(`${gateway.adminUrl}/v1/status`)).json()) as WholeStatus;
}

/** What a gateway has counted, among other things. */
export async function countersOf(gateway: Gateway): Promise<WholeStatus['gateway']> {
  return (await statusOf(gateway)).gateway;
}

/** What a gateway says of a backend of its first pool. */
export async function backendAt(gateway: Gateway, id: string): Promise<BackendStatus> {
  const { pools } = await statusOf(gateway);
  const found = pools[0]?.backends.find((backend) => backend.id === id);
  assert.ok(found, `no backend ${id}`);
  return found;
}

/** Requests that a gateway has under way. */
export async function inFlightAt(gateway: Gateway): Promise<number> {
  const { pools } = await statusOf(gateway);
  return pools.flatMap(({ backends }) => backends).reduce((sum, { inFlight }) => sum + inFlight, 0);
}

/** Waits until the gateway takes a backend for up, or for down. */
export async function sees(gateway: Gateway, id: string, up: boolean): Promise<void> {
  await eventually(`${id} is ${up ? 'up' : 'down'}`, async () => (await backendAt(gateway, id)).up === up);
}

/** Waits until the gateway takes every backend for up: it may have had its first answers of them too late. */
export async function seesAll(gateway: Gateway): Promise<void> {
  await eventually('all backends are up', async () => {
    const { pools } = await statusOf(gateway);
    return pools.every(({ backends }) => backends.every(({ up }) => up));
  });
}
