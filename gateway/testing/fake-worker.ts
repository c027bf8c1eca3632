import { EventEmitter } from 'node:events';
import type { FromWorker, ToWorker, WorkerReport } from '../workers/messages.ts';
import type { WorkerThread } from '../workers/worker-link.ts';

/**
 * A worker's thread that does what a test says. It answers questions by `report`, and stops when it is
 * told to.
 */
export class FakeWorker extends EventEmitter implements Pick<WorkerThread, 'postMessage' | 'terminate'> {
  readonly told: ToWorker[] = [];
  /** `undefined`: it does not answer. */
  report: WorkerReport | undefined;
  terminated = false;

  /** As the supervisor sees it. */
  get thread(): WorkerThread {
    return this as unknown as WorkerThread;
  }

  postMessage(message: ToWorker): void {
    this.told.push(message);
    if (message.type === 'stop') setImmediate(() => this.exit(0));
    if (message.type !== 'report' || !this.report) return;
    const { report } = this;
    setImmediate(() => this.says({ type: 'report', number: message.number, report }));
  }

  says(message: FromWorker): void {
    this.emit('message', message);
  }

  exit(code: number): void {
    this.emit('exit', code);
  }

  async terminate(): Promise<number> {
    this.terminated = true;
    this.exit(1);
    return 1;
  }

  /** Of a type that it was told. */
  toldOf<Type extends ToWorker['type']>(type: Type): Extract<ToWorker, { type: Type }>[] {
    return this.told.filter((message): message is Extract<ToWorker, { type: Type }> => message.type === type);
  }
}
