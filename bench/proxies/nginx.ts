import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startForeign, versionOf } from '../processes/foreign-process.ts';
import { asTarget } from '../processes/target.ts';
import { notInstalled, type ProxyOptions, type StartProxy } from './proxy.ts';

/**
 * A master and one worker. Cookies by \`map\`: the cookie names a server, which is looked up among those there are; whoever has none is
 * given one. That is what \`sticky\` does, which versions before 1.29.6 have only in what is sold.
 */
export const startNginx: StartProxy = async (options) => {
  const version = versionOf('nginx', ['-v'], /nginx\/(\S+)/);
  if (version === undefined) return notInstalled('nginx');
  const { directory, port } = options;
  const file = join(directory, 'nginx.conf');
  await writeFile(file, configuration(options));
  const args = ['-p', directory, '-c', file, '-e', join(directory, 'error.log')];
  const child = await startForeign({ command: 'nginx', args, directory, port });
  return { ...asTarget('nginx', child, port), version };
};

function configuration({ port, servers, directory, certificate, accessLog, connections }: ProxyOptions) {
  const each = (line: (server: { name: string; port: number }) => string) => servers.map(line).join('\n');
  const share = Math.floor(100 / servers.length);
  const shares = servers.map(({ name }, index) => (index === 0 ? `* ${name};` : `${share}% ${name};`));
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `
daemon off;
worker_processes 1;
worker_rlimit_nofile ${connections * 2 + 1000};
pid ${join(directory, 'nginx.pid')};
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections ${connections * 2}; }
http {
${temporary.map((name) => `  ${name}_temp_path ${join(directory, name)};`).join('\n')}
  access_log ${accessLog ? `${join(directory, 'access.log')} combined` : 'off'};
  keepalive_timeout 75s;
  keepalive_requests 1000000000;
  client_max_body_size 0;
  # Bodies stream, as they do in the others, and never go to a file.
  proxy_request_buffering off;
  proxy_max_temp_file_size 0;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $host;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header X-Forwarded-Proto $scheme;
${each(
  ({ name, port }) =>
    `  upstream ${name} { server 127.0.0.1:${port}; keepalive 256; keepalive_requests 1000000000; }`,
)}
  split_clients $request_id $anyone {
    ${shares.toReversed().join('\n    ')}
  }
  map $cookie_affinity $bound {
    default $anyone;
${each(({ name }) => `    ${name} ${name};`)}
  }
  map $cookie_affinity $new_cookie {
    default "affinity=$bound; Path=/; HttpOnly";
${each(({ name }) => `    ${name} "";`)}
  }
  server {
    listen 127.0.0.1:${port}${certificate ? ' ssl' : ''} backlog=4096;
${certificate ? `    ssl_certificate ${certificate.cert};\n    ssl_certificate_key ${certificate.key};` : ''}
    location / {
      proxy_pass http://$bound;
      add_header Set-Cookie $new_cookie;
    }
  }
}
`;
}
