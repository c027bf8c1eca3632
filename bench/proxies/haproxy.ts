import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startForeign, versionOf } from '../processes/foreign-process.ts';
import { asTarget } from '../processes/target.ts';
import { notInstalled, type ProxyOptions, type StartProxy } from './proxy.ts';

/** One process, one thread, a cookie of its own that names the server. Its log goes to the file that its output goes to. */
export const startHaproxy: StartProxy = async (options) => {
  const version = versionOf('haproxy', ['-v'], /version (\S+)/);
  if (version === undefined) return notInstalled('haproxy');
  const { directory, port } = options;
  const file = join(directory, 'haproxy.cfg');
  await writeFile(file, configuration(options));
  const child = await startForeign({ command: 'haproxy', args: ['-db', '-f', file], directory, port });
  return { ...asTarget('haproxy', child, port), version };
};

function configuration({ port, servers, certificate, accessLog, connections }: ProxyOptions): string {
  const tls = certificate ? ` ssl crt ${certificate.both}` : '';
  // `always`: as the others do it, a connection to a server is anybody's. By default the first request of each client has its own.
  return `
global
  nbthread 1
  maxconn ${connections}
  no strict-limits
${accessLog ? '  log stdout format raw local0' : ''}
defaults
  mode http
  timeout connect 1s
  timeout client 75s
  timeout server 60s
  timeout http-request 10s
  timeout http-keep-alive 75s
  option forwardfor
  http-reuse always
${accessLog ? '  log global\n  option httplog' : ''}
frontend clients
  bind 127.0.0.1:${port}${tls} backlog 4096
  default_backend app
backend app
  balance leastconn
  http-request set-header X-Forwarded-Proto ${certificate ? 'https' : 'http'}
  cookie affinity insert indirect nocache httponly
  option httpchk GET /healthz
${servers.map(({ name, port }) => `  server ${name} 127.0.0.1:${port} cookie ${name} check inter 1s`).join('\n')}
`;
}
