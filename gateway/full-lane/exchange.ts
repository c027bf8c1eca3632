import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Delivery } from '../delivery/delivery.ts';
import type { RequestBody } from './request-body.ts';

/** One client request on its way through the full lane. */
export interface FullLaneExchange {
  readonly delivery: Delivery;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Headers for the backend. */
  readonly forwarded: IncomingHttpHeaders;
  /** A fresh body for each attempt. */
  readonly body: () => RequestBody;
}
