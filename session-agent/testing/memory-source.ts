import { StickshiftError } from '../../protocol/errors.ts';
import type { CapturedSession, SessionSource, SourceListener } from '../sources/session-source.ts';

const LIFETIME_MS = 3_600_000;

/** An app in memory. `write`, `replace`, `remove` and `logout` do what requests would do. */
export class MemorySource implements SessionSource {
  readonly kind = 'express';
  readonly sessions = new Map<string, CapturedSession>();
  readonly forgotten: string[] = [];
  readonly installed: string[] = [];
  captures = 0;
  /** Thrown by every call to the app while it is set. */
  failure: Error | undefined;
  /** Thrown by `install` while it is set. */
  installFailure: Error | undefined;
  /** Awaited within every capture, after its bytes were taken. */
  onCapture: (id: string) => Promise<void> | void = () => undefined;
  /** Called by `refresh`. */
  onRefresh: (id: string) => Promise<void> | void = () => undefined;
  #listener: SourceListener | undefined;

  get listener(): SourceListener {
    if (!this.#listener) throw new Error('the source was not started');
    return this.#listener;
  }

  /** The app writes a session. */
  write(id: string, text: string, idleAt = Date.now() + LIFETIME_MS): void {
    this.sessions.set(id, { data: Buffer.from(text), idleAt });
    this.listener.changed(id);
  }

  logout(id: string): Promise<void> {
    this.sessions.delete(id);
    return this.listener.ended(id, 'logout');
  }

  /** The app gives a session another ID; `write` is how it goes on under that. */
  replace(id: string, successor: string): Promise<void> {
    this.sessions.delete(id);
    return this.listener.replaced(id, successor);
  }

  /** The app takes a session out without saying why. */
  remove(id: string): void {
    this.sessions.delete(id);
    void this.listener.ended(id, 'removed');
  }

  text(id: string): string | undefined {
    const session = this.sessions.get(id);
    return session && Buffer.from(session.data).toString();
  }

  async start(listener: SourceListener): Promise<void> {
    this.#listener = listener;
  }

  async stop(): Promise<void> {
    this.onCapture = () => undefined;
  }

  async list(): Promise<string[]> {
    this.#assertThere();
    return [...this.sessions.keys()];
  }

  async refresh(id: string): Promise<void> {
    await this.onRefresh(id);
  }

  async capture(id: string): Promise<CapturedSession | undefined> {
    this.#assertThere();
    this.captures++;
    const session = this.sessions.get(id);
    await this.onCapture(id);
    return session;
  }

  async install(id: string, session: CapturedSession): Promise<void> {
    this.#assertThere();
    if (this.installFailure) throw this.installFailure;
    this.installed.push(id);
    this.sessions.set(id, session);
  }

  async forget(id: string): Promise<void> {
    this.#assertThere();
    this.forgotten.push(id);
    this.sessions.delete(id);
  }

  #assertThere(): void {
    if (this.failure) throw this.failure;
  }
}

export function appIsAway(): StickshiftError {
  return new StickshiftError('SOURCE_FAILED', 'the app is away');
}
