import { StickshiftError } from '../../protocol/errors.ts';
import type { Backend } from '../backends/backend.ts';
import type { RequestTrace } from '../tracing/request-trace.ts';
import { Delivery, type DeliveryParts, type LaneRequest } from './delivery.ts';

/** The requests that are under way, in whichever lane. */
export class Deliveries {
  readonly #parts: DeliveryParts;
  readonly #active = new Set<Delivery>();
  #stopping = false;

  constructor(parts: DeliveryParts) {
    this.#parts = parts;
  }

  /** Connections are to end with the answers that are on their way. */
  get stopping(): boolean {
    return this.#stopping;
  }

  begin(method: string, trace: RequestTrace, lane: LaneRequest): Delivery {
    const delivery = new Delivery(this.#parts, method, trace, lane);
    this.#active.add(delivery);
    return delivery;
  }

  /** See {@link Delivery.end}. */
  end(delivery: Delivery, status: number | undefined, complete: boolean): void {
    if (this.#active.delete(delivery)) delivery.end(status, complete);
  }

  /** Ends what is under way on a backend whose drain is over. Requests that had no answer yet get a 502. */
  closeTo(backend: Backend): void {
    for (const delivery of this.#active) {
      if (!delivery.isAt(backend)) continue;
      delivery.lane.fail(new StickshiftError('BACKEND_RESET', 'the drain deadline has passed'));
    }
  }

  /** No request after those under way on each connection; answers that would never end by themselves end now. */
  stop(): void {
    this.#stopping = true;
    for (const { lane, isEndless } of this.#active) {
      lane.closeAfter();
      if (isEndless) lane.cut();
    }
  }
}
