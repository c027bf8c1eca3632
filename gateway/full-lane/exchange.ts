import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Delivery } from '../delivery/delivery.ts';
import type { RequestBody } from './request-body.ts';

/** An answer that is given up when its client takes none of it for too long; one over HTTP/1.1 is not. */
export interface WatchedAnswer {
  /** It may never end by itself: from now on its client may take as long as it likes. */
  becomeEndless(): void;
}

/** One client request on its way through the full lane. */
export interface FullLaneExchange {
  readonly delivery: Delivery;
  readonly request: IncomingMessage;
  readonly response: ServerResponse & Partial<WatchedAnswer>;
  /** Headers for the backend. */
  readonly forwarded: IncomingHttpHeaders;
  /** A fresh body for each attempt. */
  readonly body: () => RequestBody;
}
