import { clockStep } from './clock-step.ts';
import { drain } from './drain.ts';
import type { FaultKind } from './fault.ts';
import { journalFull } from './journal-full.ts';
import { killAgent, killApp, killGateway, killNode } from './kill.ts';
import { linkBlackHole, linkCut, linkDelay } from './network.ts';
import { pauseAgent, pauseApp, pauseGateway, pauseNode, pauseRedis } from './pause.ts';
import {
  redisEmpty,
  redisFailover,
  redisFailoverTail,
  redisFull,
  redisReadOnly,
  redisRestart,
} from './store.ts';

export const FAULT_KINDS: readonly FaultKind[] = [
  killApp,
  killAgent,
  killGateway,
  killNode,
  pauseApp,
  pauseAgent,
  pauseGateway,
  pauseNode,
  pauseRedis,
  drain,
  redisRestart,
  redisEmpty,
  redisFailover,
  redisFailoverTail,
  redisReadOnly,
  redisFull,
  linkCut,
  linkBlackHole,
  linkDelay,
  journalFull,
  clockStep,
];

export function faultKind(name: string): FaultKind {
  const kind = FAULT_KINDS.find((one) => one.name === name);
  if (!kind) throw new Error(`no fault is called ${name}`);
  return kind;
}
