import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startForeign, versionOf } from '../processes/foreign-process.ts';
import { asTarget } from '../processes/target.ts';
import { notInstalled, type ProxyOptions, type StartProxy } from './proxy.ts';

/** One thread runs Go code. Its cookie is an HMAC of the server's address, which it compares with that of each server. */
export const startCaddy: StartProxy = async (options) => {
  const version = versionOf('caddy', ['version'], /^v?(\S+)/);
  if (version === undefined) return notInstalled('caddy');
  const { directory, port } = options;
  const file = join(directory, 'Caddyfile');
  await writeFile(file, configuration(options));
  const child = await startForeign({
    command: 'caddy',
    args: ['run', '--config', file, '--adapter', 'caddyfile'],
    env: { GOMAXPROCS: '1', HOME: directory, XDG_DATA_HOME: directory, XDG_CONFIG_HOME: directory },
    directory,
    port,
  });
  return { ...asTarget('caddy', child, port), version };
};

function configuration({ port, servers, directory, certificate, accessLog }: ProxyOptions): string {
  return `
{
  admin off
  auto_https off
  log {
    level ERROR
  }
}
${certificate ? `https://127.0.0.1:${port}, https://shop.test:${port}` : `http://:${port}`} {
  bind 127.0.0.1
${certificate ? `  tls ${certificate.cert} ${certificate.key}` : ''}
${accessLog ? `  log {\n    level INFO\n    output file ${join(directory, 'access.log')}\n  }` : ''}
  reverse_proxy ${servers.map(({ port }) => `127.0.0.1:${port}`).join(' ')} {
    lb_policy cookie affinity a-secret-of-the-benchmark
    health_uri /healthz
    health_interval 1s
    transport http {
      keepalive_idle_conns 512
      keepalive_idle_conns_per_host 256
    }
  }
}
`;
}
