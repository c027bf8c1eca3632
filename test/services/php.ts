import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { findPorts } from '../../demo/ports.ts';
import { eventually } from './eventually.ts';
import { requirement } from './requirement.ts';

/** Options for tests that need PHP on the command line. */
export function phpRequired(): { skip: string | false } {
  return requirement('PHP', spawnSync('php', ['--version']).status === 0, 'install php-cli');
}

/** Settings that leave the machine's php.ini no say. */
export function phpSettings(savePath: string, settings: Readonly<Record<string, string>> = {}): string[] {
  const all = {
    display_errors: 'stderr',
    'session.save_handler': 'files',
    'session.save_path': savePath,
    'session.use_strict_mode': '0',
    'session.gc_probability': '0',
    'session.gc_maxlifetime': '1440',
    'session.lazy_write': '1',
    ...settings,
  };
  // Quoted: a semicolon, as in `2;/path`, would begin a comment.
  return ['-n', ...Object.entries(all).flatMap(([name, value]) => ['-d', `${name}="${value}"`])];
}

/** One request: a PHP process with one session, that runs `code` after `session_start()` and can be told to wait. */
export class PhpRequest {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #output: string[] = [];
  #errors = '';

  /** In `code`, `pause('here')` waits until the test calls {@link goOn}. */
  constructor(settings: readonly string[], id: string, code: string) {
    const script = `
      function pause($where) { echo $where, "\\n"; fgets(STDIN); }
      ini_set('session.use_cookies', '0'); session_cache_limiter('');
      session_id(${JSON.stringify(id)});
      session_start();
      ${code}
    `;
    this.#process = spawn('php', [...settings, '-r', script]);
    createInterface(this.#process.stdout).on('line', (line) => this.#output.push(line));
    this.#process.stderr.on('data', (chunk: Buffer) => {
      this.#errors += chunk.toString();
    });
  }

  /** Waits until the code has come to `pause(where)`. */
  async at(where: string): Promise<void> {
    await eventually(`PHP at ${where}`, () => this.#output.includes(where));
  }

  goOn(): void {
    this.#process.stdin.write('\n');
  }

  /** SIGKILL. Resolves when the process is gone, and with it its locks. */
  async kill(): Promise<void> {
    const gone = once(this.#process, 'close');
    this.#process.kill('SIGKILL');
    await gone;
  }

  /** Resolves to what it printed. */
  async ended(): Promise<string> {
    const { exitCode } = this.#process;
    const status = exitCode ?? ((await once(this.#process, 'close'))[0] as number);
    const output = this.#output.join('\n');
    if (status !== 0 || this.#errors !== '') throw new Error(`PHP: ${status} ${this.#errors} ${output}`);
    return output;
  }
}

/** PHP's own web server, with one script that answers every request. */
export async function startPhpServer(
  settings: readonly string[],
  script: string,
): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const [port = 0] = await findPorts(1);
  const server = spawn('php', [...settings, '-S', `127.0.0.1:${port}`, script], { stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}`;
  const exited = once(server, 'exit');
  const stop = async () => {
    server.kill('SIGKILL');
    await exited;
  };
  try {
    await eventually('an answer from PHP', () =>
      fetch(url, { method: 'HEAD' }).then(
        () => true,
        () => false,
      ),
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, stop };
}
