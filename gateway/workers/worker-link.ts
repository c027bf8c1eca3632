import type { Worker } from 'node:worker_threads';
import { StickshiftError } from '../../protocol/errors.ts';
import type { BackendName, BackendNews, FromWorker, ToWorker, WorkerReport } from './messages.ts';

/** A worker that is busy for longer than this counts as it did when it answered last. */
const REPORT_TIMEOUT_MS = 1_000;

export type WorkerThread = Pick<Worker, 'postMessage' | 'on' | 'terminate'>;

/** News of backends, or a question that wants an answer. */
export type WorkerNews = BackendNews | Extract<FromWorker, { type: 'probe-app' }>;

/** How a thread has ended. */
export interface WorkerEnd {
  readonly exitCode: number;
  /** What it threw, or that it ran out of memory. */
  readonly error: unknown;
  /** Since it began to serve clients, milliseconds; 0: it never did. */
  readonly servedMs: number;
}

/** One worker, as the control plane has it. */
export class WorkerLink {
  readonly number: number;
  /** Resolves with the address when it serves clients; rejects when it cannot. */
  readonly listening: Promise<string>;
  readonly ended: Promise<WorkerEnd>;
  readonly #thread: WorkerThread;
  readonly #questions = new Map<number, (report: WorkerReport | undefined) => void>();
  #asked = 0;
  #servesSince: number | undefined;
  #isOver = false;
  #lastReport: WorkerReport | undefined;

  /** @param hear - called for whatever it tells of backends */
  constructor(number: number, thread: WorkerThread, hear: (news: WorkerNews, from: WorkerLink) => void) {
    this.number = number;
    this.#thread = thread;
    const listening = Promise.withResolvers<string>();
    const ended = Promise.withResolvers<WorkerEnd>();
    this.listening = listening.promise;
    // It may end before anybody has asked it to begin; `ended` tells that, too.
    this.listening.catch(() => undefined);
    this.ended = ended.promise;
    let error: unknown;
    thread.on('message', (message: FromWorker) => {
      switch (message.type) {
        case 'listening':
          this.#servesSince = performance.now();
          listening.resolve(message.address);
          break;
        case 'failed':
          listening.reject(new StickshiftError(message.code, message.message));
          break;
        case 'report':
          this.#lastReport = message.report;
          this.#questions.get(message.number)?.(message.report);
          break;
        default:
          hear(message, this);
      }
    });
    thread.on('error', (thrown: unknown) => {
      error = thrown;
    });
    thread.on('exit', (exitCode: number) => {
      this.#isOver = true;
      const servedMs = this.#servesSince === undefined ? 0 : performance.now() - this.#servesSince;
      listening.reject(
        new StickshiftError('INTERNAL', `worker ${number} ended before it served`, { cause: error }),
      );
      for (const answer of this.#questions.values()) answer(undefined);
      ended.resolve({ exitCode, error, servedMs });
    });
  }

  get isServing(): boolean {
    return this.#servesSince !== undefined && !this.#isOver;
  }

  /** What it said last. */
  get lastReport(): WorkerReport | undefined {
    return this.#lastReport;
  }

  tell(message: ToWorker): void {
    this.#thread.postMessage(message);
  }

  /**
   * Has it report, and so take in what it was told before.
   *
   * @param sessionsOn - with the sessions that have a request under way there
   * @returns `undefined` when it does not answer in time, or has ended
   */
  async report(sessionsOn?: BackendName): Promise<WorkerReport | undefined> {
    if (this.#isOver) return undefined;
    this.#asked += 1;
    const number = this.#asked;
    const { promise, resolve } = Promise.withResolvers<WorkerReport | undefined>();
    const timer = setTimeout(resolve, REPORT_TIMEOUT_MS, undefined);
    this.#questions.set(number, resolve);
    this.tell({ type: 'report', number, sessionsOn });
    const report = await promise;
    clearTimeout(timer);
    this.#questions.delete(number);
    return report;
  }

  /** Asks it to stop, and ends it when it has not after so long. */
  async stop(withinMs: number): Promise<void> {
    this.tell({ type: 'stop' });
    const timer = setTimeout(() => void this.#thread.terminate(), withinMs);
    await this.ended;
    clearTimeout(timer);
  }
}
