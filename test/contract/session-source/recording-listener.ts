import type {
  CapturedSession,
  SessionEnd,
  SourceListener,
} from '../../../session-agent/sources/session-source.ts';
import { eventually } from '../../services/eventually.ts';

export type SourceEvent =
  | { readonly what: 'changed'; readonly id: string }
  | { readonly what: 'touched'; readonly id: string; readonly idleAt: number }
  | { readonly what: 'ended'; readonly id: string; readonly how: SessionEnd }
  | { readonly what: 'replaced'; readonly id: string; readonly successor: string }
  | { readonly what: 'missed'; readonly id: string }
  | { readonly what: 'attached' }
  | { readonly what: 'detached'; readonly reason: string };

/** Writes down what a source tells, and answers as the test has told it to. */
export class RecordingListener implements SourceListener {
  readonly events: SourceEvent[] = [];
  onMissed: (id: string) => Promise<CapturedSession | undefined> = async () => undefined;
  onEnded: (id: string) => Promise<void> = async () => undefined;
  onReplaced: (id: string) => Promise<void> = async () => undefined;

  changed(id: string): void {
    this.events.push({ what: 'changed', id });
  }

  touched(id: string, idleAt: number): void {
    this.events.push({ what: 'touched', id, idleAt });
  }

  ended(id: string, how: SessionEnd): Promise<void> {
    this.events.push({ what: 'ended', id, how });
    return this.onEnded(id);
  }

  replaced(id: string, successor: string): Promise<void> {
    this.events.push({ what: 'replaced', id, successor });
    return this.onReplaced(id);
  }

  missed(id: string): Promise<CapturedSession | undefined> {
    this.events.push({ what: 'missed', id });
    return this.onMissed(id);
  }

  attached(): void {
    this.events.push({ what: 'attached' });
  }

  detached(reason: string): void {
    this.events.push({ what: 'detached', reason });
  }

  /** Events about one session, of one kind or all. */
  of<What extends SourceEvent['what']>(id: string, what?: What): Extract<SourceEvent, { what: What }>[] {
    return this.events.filter(
      (event): event is Extract<SourceEvent, { what: What }> =>
        'id' in event && event.id === id && (what === undefined || event.what === what),
    );
  }

  count(what: SourceEvent['what']): number {
    return this.events.filter((event) => event.what === what).length;
  }

  /** Waits until an event of the kind has been told about the session. */
  async heard<What extends SourceEvent['what']>(
    what: What,
    id: string,
  ): Promise<Extract<SourceEvent, { what: What }>> {
    return eventually(`${what} of a session`, () => this.of(id, what)[0]);
  }

  async heardTimes(what: SourceEvent['what'], times: number): Promise<void> {
    await eventually(`${what}, ${times} times`, () => this.count(what) >= times);
  }
}
