import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import type { Redis } from 'ioredis';

/** One command that a client sent, or that a script called. */
export interface MonitoredCommand {
  readonly name: string;
  /** As Redis prints them: other than printable characters are escaped. */
  readonly args: readonly string[];
  readonly calledByScript: boolean;
}

/** `1700000000.123456 [0 127.0.0.1:50000] "set" "a key" "1"`; in the place of the address, `lua` */
const LINE = /^\+[\d.]+ \[\d+ (\S+)\] (.*)$/;
const ARGUMENT = /"((?:[^"\\]|\\.)*)"/g;

/**
 * Watches a Redis server with MONITOR, on a connection of its own. ioredis has a monitor as well; it takes what the server says
 * right behind the `OK` for answers to commands, and throws.
 */
export async function monitorRedis(
  client: Redis,
  onCommand: (command: MonitoredCommand) => void,
): Promise<Disposable> {
  const { port = 6379, host = '127.0.0.1' } = client.options;
  const socket = connect(port, host);
  const lines = createInterface({ input: socket });
  const standing = once(lines, 'line');
  lines.on('line', (line) => {
    const [, source, rest = ''] = LINE.exec(line) ?? [];
    const [name, ...args] = Array.from(rest.matchAll(ARGUMENT), ([, text = '']) =>
      text.replace(/\\(["\\])/g, '$1'),
    );
    if (name !== undefined) onCommand({ name: name.toLowerCase(), args, calledByScript: source === 'lua' });
  });
  socket.write('MONITOR\r\n');
  // The OK: from here on nothing is missed.
  await standing;
  return {
    [Symbol.dispose]() {
      lines.close();
      socket.destroy();
    },
  };
}
