import { createServer } from 'node:net';
import { splitAddress } from '../../config/listen-address.ts';
import { listen } from '../../json-api/listen.ts';

/**
 * That nobody listens at `host:port`: threads that share a port would share it with another gateway, too.
 *
 * @throws StickshiftError `PORT_IN_USE`
 */
export async function assertFree(address: string): Promise<void> {
  if (splitAddress(address).port === 0) return;
  const probe = createServer();
  await listen(probe, address, 'gateway.listen');
  await new Promise((resolve) => probe.close(resolve));
}
