import type { TestContext } from 'node:test';
import { Link } from '../../chaos/network/link.ts';
import { findPorts } from '../../demo/ports.ts';

/** Something that a test can cut, before what listens at `url`. */
export async function linkTo(t: TestContext, url: string): Promise<{ link: Link; url: string }> {
  const [port = 0] = await findPorts(1);
  const { protocol, port: targetPort } = new URL(url);
  const link = new Link({ name: url, port, targetPort: Number(targetPort) });
  await link.setTargetUp(true);
  t.after(() => link.close());
  return { link, url: `${protocol}//127.0.0.1:${port}` };
}
