import { propagation } from '@opentelemetry/api';
import type { Logger } from 'pino';
import type { GatewayConfig } from '../../config/schema.ts';
import type { Pool } from '../backends/pool.ts';
import { type ClientServer, divertConnections, refuseConnection } from '../client-server.ts';
import type { GatewayCounters } from '../counters.ts';
import type { AnswerRules } from '../delivery/answer-rules.ts';
import type { Deliveries } from '../delivery/deliveries.ts';
import type { RequestHeaders } from '../forwarding/request-headers.ts';
import { AnswerHeadReader } from './answer-head.ts';
import { BackendPool } from './backend-pool.ts';
import { FastLane } from './fast-lane.ts';
import { LaneClock } from './lane-clock.ts';
import { RequestHeadReader } from './request-head.ts';

/** What a trusted proxy says of its client, and what is made of it. */
const CLAIMS = ['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-port'];

interface FastLaneSurroundings {
  readonly settings: GatewayConfig;
  readonly pools: readonly Pool[];
  readonly deliveries: Deliveries;
  readonly rules: AnswerRules;
  readonly headers: RequestHeaders;
  readonly counters: GatewayCounters;
  readonly logger: Logger;
}

/** Puts a fast lane in front of a server's own parser. */
export function createFastLane(front: ClientServer, surroundings: FastLaneSurroundings): FastLane {
  const { settings, pools, deliveries, rules, headers, counters, logger } = surroundings;
  const { timeouts, limits } = settings;
  const sessionHeaders = pools.flatMap(({ config }) => config.session.header?.toLowerCase() ?? []);
  const lane: FastLane = new FastLane({
    ...{ deliveries, rules, headers, counters, timeouts },
    headLimit: limits.head,
    spoolLimit: limits.spool,
    keepAliveLines: keepAliveLines(timeouts.keepAlive),
    clock: new LaneClock(),
    requestHeads: new RequestHeadReader([...sessionHeaders, ...propagation.fields(), ...CLAIMS]),
    answerHeads: new AnswerHeadReader(sessionHeaders),
    backends: new BackendPool(),
    handOver: divertConnections(front, (socket) => lane.accept(socket)),
    refuse: (socket, failure) => refuseConnection(socket, failure, logger, counters),
  });
  return lane;
}

/** As Node says it. */
function keepAliveLines(keepAliveMs: number): string {
  const seconds = Math.floor(keepAliveMs / 1000);
  return `Connection: keep-alive\r\n${keepAliveMs > 0 ? `Keep-Alive: timeout=${seconds}\r\n` : ''}`;
}
