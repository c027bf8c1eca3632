import { execFile, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { findPorts } from '../../demo/ports.ts';
import { requirement } from '../services/requirement.ts';

const ROOT = join(import.meta.dirname, '..', '..');

/** `COMPOSE`, else `docker compose`, else `docker-compose`; undefined without Docker. */
function findCompose(): readonly string[] | undefined {
  if (spawnSync('docker', ['info'], { stdio: 'ignore' }).status !== 0) return undefined;
  const candidates = [process.env.COMPOSE, 'docker compose', 'docker-compose'];
  return candidates
    .map((candidate) => candidate?.split(' ').filter(Boolean) ?? [])
    .find(([program, ...args]) => {
      return program && spawnSync(program, [...args, 'version'], { stdio: 'ignore' }).status === 0;
    });
}

const compose = findCompose();

/** Options of `describe` for tests that bring compose.yaml up. */
export const composeRequirement = requirement(
  'Docker with compose',
  compose !== undefined,
  'start Docker and install its compose plugin, or name the compose command in COMPOSE',
);

/** compose.yaml, brought up under a project name and on ports of its own. */
export class ComposeProject {
  readonly shopUrl: string;
  readonly adminUrl: string;
  readonly adminToken = 'an-admin-token-of-the-tests';
  readonly #name = `stickshift-test-${process.pid}`;
  readonly #env: NodeJS.ProcessEnv;

  private constructor(port: number, adminPort: number) {
    this.shopUrl = `http://127.0.0.1:${port}`;
    this.adminUrl = `http://127.0.0.1:${adminPort}`;
    this.#env = {
      ...process.env,
      STICKSHIFT_PORT: String(port),
      STICKSHIFT_ADMIN_PORT: String(adminPort),
      STICKSHIFT_ADMIN_TOKEN: this.adminToken,
      STICKSHIFT_SECRET: 'a secret of the tests, long enough to be one',
    };
  }

  static async plan(): Promise<ComposeProject> {
    const [port = 0, adminPort = 0] = await findPorts(2);
    return new ComposeProject(port, adminPort);
  }

  /** @throws Error with the command's output when it fails */
  run(...args: string[]): Promise<string> {
    const [program = '', ...first] = compose ?? [];
    return new Promise((resolve, reject) => {
      execFile(
        program,
        [...first, '--project-name', this.#name, ...args],
        { cwd: ROOT, env: this.#env, maxBuffer: 64 * 1024 * 1024 },
        (error, stdout, stderr) => {
          if (error) reject(new Error(`compose ${args.join(' ')} failed:\n${stdout}\n${stderr}`));
          else resolve(stdout);
        },
      );
    });
  }

  /** What `docker inspect` knows of the service's container, by a Go template such as `{{.State.Running}}`. */
  async inspect(service: string, template: string): Promise<string> {
    const id = (await this.run('ps', '--all', '--quiet', service)).trim();
    const { stdout } = spawnSync('docker', ['inspect', '--format', template, id], { encoding: 'utf8' });
    return stdout.trim();
  }

  /** Containers, networks and volumes. */
  async down(): Promise<void> {
    await this.run('down', '--volumes', '--remove-orphans', '--timeout', '5');
  }
}
