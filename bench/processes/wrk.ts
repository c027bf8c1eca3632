import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ProxyLoadResult } from './proxy-load.ts';

/** Bound clients that wrk plays. */
export interface WrkTask {
  readonly port: number;
  readonly connections: number;
  /** Cookie headers, of one client each; a connection is one client's. */
  readonly cookies: readonly string[];
  readonly seconds: number;
  readonly tls: boolean;
  /** One connection per request. */
  readonly close: boolean;
  readonly directory: string;
}

/** Sends as fast as it goes with wrk, which takes a fraction of the CPU of a generator in JavaScript. */
export async function runWrk(task: WrkTask): Promise<ProxyLoadResult> {
  const { port, connections, seconds, tls, directory } = task;
  const script = join(directory, 'wrk.lua');
  await writeFile(script, scriptOf(task));
  const url = `${tls ? 'https' : 'http'}://127.0.0.1:${port}/cart`;
  // A thread for each connection: a script cannot tell the connections of a thread apart, and would send any client's cookie on any.
  const args = [
    '-t',
    String(connections),
    '-c',
    String(connections),
    '-d',
    `${Math.max(1, Math.round(seconds))}s`,
  ];
  const running = promisify(execFile)('wrk', [...args, '-s', script, url]);
  const onProcessExit = () => running.child.kill('SIGKILL');
  process.once('exit', onProcessExit);
  const { stdout } = await running.finally(() => process.off('exit', onProcessExit));
  const [requests = 0, micros = 0, errors = 0] = (/^RESULT (.*)$/m.exec(stdout)?.[1] ?? '')
    .split(' ')
    .map(Number);
  if (micros === 0) throw new Error(`wrk told no result:\n${stdout}`);
  return { requests, errors, seconds: micros / 1e6 };
}

/** A request is made once and not at every turn: Lua would be what is measured. */
function scriptOf({ cookies, close }: WrkTask): string {
  const list = cookies.map((cookie) => `  ${JSON.stringify(cookie)},`).join('\n');
  return `
local cookies = {
${list}
}
local clients = 0
function setup(thread)
  thread:set("client", clients)
  clients = clients + 1
end
local sent
function init()
  local headers = { Host = "shop.test", ["User-Agent"] = "bench", Accept = "*/*" }
  headers.Cookie = cookies[client % #cookies + 1]
  ${close ? 'headers.Connection = "close"' : ''}
  sent = wrk.format("GET", "/cart", headers)
end
function request()
  return sent
end
function done(summary)
  local e = summary.errors
  local lost = e.status + e.connect + e.read + e.write + e.timeout
  print("RESULT " .. summary.requests - e.status .. " " .. summary.duration .. " " .. lost)
end
`;
}
