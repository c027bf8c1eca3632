import type { Socket } from 'node:net';
import type { StickshiftError } from '../../protocol/errors.ts';
import type { GatewayCounters } from '../counters.ts';
import type { AnswerRules } from '../delivery/answer-rules.ts';
import type { Deliveries } from '../delivery/deliveries.ts';
import type { RequestHeaders } from '../forwarding/request-headers.ts';
import type { AnswerHeadReader } from './answer-head.ts';
import type { BackendPool } from './backend-pool.ts';
import type { LaneClock } from './lane-clock.ts';
import type { RequestHeadReader } from './request-head.ts';

/** Times of the lane, milliseconds; see the configuration. */
export interface LaneTimeouts {
  readonly head: number;
  readonly body: number;
  readonly connect: number;
  readonly firstByte: number;
  readonly idle: number;
  readonly keepAlive: number;
}

/** What all connections of a lane share. */
export interface LaneParts {
  readonly deliveries: Deliveries;
  readonly rules: AnswerRules;
  readonly headers: RequestHeaders;
  readonly counters: GatewayCounters;
  readonly timeouts: LaneTimeouts;
  /** Largest request head, bytes. */
  readonly headLimit: number;
  /** Largest body that is held, bytes. */
  readonly spoolLimit: number;
  /** What an answer says of a connection that is kept, with CRLF. */
  readonly keepAliveLines: string;
  readonly clock: LaneClock;
  readonly requestHeads: RequestHeadReader;
  readonly answerHeads: AnswerHeadReader;
  readonly backends: BackendPool;
  /** Takes over a connection with what has been read of its next request and not been used. */
  readonly handOver: (socket: Socket, bytes: Buffer) => void;
  /** Ends a connection on which no request can be read. */
  readonly refuse: (socket: Socket, failure: StickshiftError) => void;
}
