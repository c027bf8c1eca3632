import type { Logger } from 'pino';
import { parseAnnouncement } from '../announcement.ts';
import type {
  AnnounceResult,
  BackendAnnouncement,
  BackendStateChange,
  SharedBackendState,
} from '../snapshot-store.ts';
import { wholeNumber } from '../whole-number.ts';
import type { RedisConnection } from './connection.ts';
import type { Reply } from './replies.ts';

const INDEX = 'stickshift:backends';
const announcementKey = (name: string) => `stickshift:backend:${name}`;
const statesKey = (application: string) => `stickshift:states:${application}`;
/** Two applications may have backends of the same ID. Neither name has a slash in it. */
const nameOf = ({ application, id }: Pick<BackendAnnouncement, 'application' | 'id'>) =>
  `${application}/${id}`;

const STATES: readonly string[] = ['ready', 'drain', 'maintenance'] satisfies SharedBackendState['state'][];

/** What agents announce and what operators ask for, in Redis. */
export class BackendRegistry {
  readonly #connection: RedisConnection;
  readonly #log: Logger;

  constructor(connection: RedisConnection, logger: Logger) {
    this.#connection = connection;
    this.#log = logger;
  }

  async announce(backend: BackendAnnouncement, ttlMs: number): Promise<AnnounceResult> {
    const name = nameOf(backend);
    const ttl = String(wholeNumber(ttlMs, 'ttlMs'));
    const { incarnation, agent } = backend;
    const args = [JSON.stringify(backend), ttl, incarnation, agent];
    const reply = await this.#connection.run('announce', [announcementKey(name)], args);
    return reply.choose<AnnounceResult | Promise<AnnounceResult>>({
      announced: async () => {
        // The index comes second: a name without an announcement is skipped, an announcement without its name never found.
        await this.#connection.run('index-backend', [INDEX], [name, ttl]);
        return { outcome: 'announced' };
      },
      claimed: () => ({ outcome: 'claimed', by: parseAnnouncement(reply.text(1)) }),
    });
  }

  async withdraw(backend: Pick<BackendAnnouncement, 'application' | 'id' | 'incarnation'>): Promise<void> {
    await this.#connection.run('withdraw', [announcementKey(nameOf(backend))], [backend.incarnation]);
  }

  async announced(): Promise<BackendAnnouncement[]> {
    const names = await this.#connection.ask('backends', (client) => client.zrange(INDEX, '0', '-1'));
    // One GET each, not MGET: in a cluster the keys are on different nodes.
    const texts = await Promise.all(
      names.map((name) => this.#connection.ask('backends', (client) => client.get(announcementKey(name)))),
    );
    return texts.flatMap((text, index) => {
      if (text === null) return [];
      try {
        return [parseAnnouncement(text)];
      } catch (error) {
        // One malformed announcement must not hide the other backends.
        this.#log.warn({ err: error, backend: names[index] }, 'announcement skipped');
        return [];
      }
    });
  }

  async setState({
    application,
    backend,
    state,
    deadlineMs,
  }: BackendStateChange): Promise<SharedBackendState> {
    const patience = state === 'ready' ? 0 : wholeNumber(deadlineMs, 'deadlineMs');
    const args = [backend, state, String(patience)];
    const reply = await this.#connection.run('set-backend-state', [statesKey(application)], args);
    return reply.choose<SharedBackendState>({
      set: () => ({ application, backend, state, remainingMs: patience, revision: reply.whole(3) }),
    });
  }

  async states(application: string): Promise<SharedBackendState[]> {
    const reply = await this.#connection.run('backend-states', [statesKey(application)], []);
    return reply.choose({ states: () => readStates(application, reply) });
  }
}

/** From `backend-states-1.lua`: after the outcome and the time, IDs and states in turns. */
function readStates(application: string, reply: Reply): SharedBackendState[] {
  const now = reply.whole(1);
  const states: SharedBackendState[] = [];
  for (let index = 2; index < reply.length; index += 2) {
    const [state = '', deadlineAt, revision] = reply.text(index + 1).split(' ');
    const numbers = [Number(deadlineAt), Number(revision)] as const;
    if (!STATES.includes(state) || !numbers.every(Number.isSafeInteger)) {
      throw reply.invalid(`expected a backend's state at ${index + 1}`);
    }
    states.push({
      application,
      backend: reply.text(index),
      state: state as SharedBackendState['state'],
      remainingMs: Math.max(0, numbers[0] - now),
      revision: numbers[1],
    });
  }
  return states;
}
