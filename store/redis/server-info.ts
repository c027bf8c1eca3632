import { Cluster, type Redis } from 'ioredis';

/** What `INFO` tells, by name. */
export type ServerInfo = ReadonlyMap<string, string>;

/** The server, or the primaries of a cluster. */
export function primariesOf(client: Redis | Cluster): readonly Redis[] {
  return client instanceof Cluster ? client.nodes('master') : [client];
}

export async function readInfo(server: Redis): Promise<ServerInfo> {
  const info = await server.info();
  return new Map(
    info
      .split('\r\n')
      .filter((line) => line.includes(':'))
      .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
  );
}
