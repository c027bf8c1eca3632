import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import type { TestContext } from 'node:test';
import { Link } from '../../chaos/network/link.ts';

/** Something that a test can cut, before what listens at `url`. */
export async function linkTo(t: TestContext, url: string): Promise<{ link: Link; url: string }> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  const { protocol, port: targetPort } = new URL(url);
  const link = new Link({ name: url, port, targetPort: Number(targetPort) });
  await link.setTargetUp(true);
  t.after(() => link.close());
  return { link, url: `${protocol}//127.0.0.1:${port}` };
}
