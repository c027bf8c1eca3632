import { asStickshiftError } from '../../protocol/errors.ts';
import type { AgentClient } from '../agent-client/agent-client.ts';
import type { Backend } from '../backends/backend.ts';
import type { Pool } from '../backends/pool.ts';
import type { DataPlane } from '../data-plane/data-plane.ts';
import type { Drains } from '../drain/drains.ts';
import type { AgentReport, BackendStatus, PoolStatus } from './admin-api-types.ts';

/** How long an agent may take; whoever asks for a status at three in the morning does not want to wait for the dead. */
const AGENT_TIMEOUT_MS = 1_000;

interface StatusParts {
  readonly drains: Drains;
  readonly agentClient: AgentClient;
  readonly dataPlane: Pick<DataPlane, 'isLeased'>;
}

export async function poolStatus(pool: Pool, parts: StatusParts): Promise<PoolStatus> {
  const backends = [...pool.backends.values()];
  return {
    name: pool.name,
    application: pool.application,
    accepting: pool.accepting(Date.now()).length,
    backends: await Promise.all(backends.map((backend) => backendStatus(backend, parts))),
  };
}

/** What the gateway knows of a backend, and what its agent says right now. */
export async function backendStatus(backend: Backend, parts: StatusParts): Promise<BackendStatus> {
  const agent = await askAgent(backend, parts.agentClient);
  // Read after the agent has answered, so that all of it is of one moment.
  const now = Date.now();
  const drain = parts.drains.progress(backend);
  return {
    id: backend.id,
    pool: backend.pool,
    url: backend.url.href,
    agentUrl: backend.agentUrl.href,
    weight: backend.weight,
    adminState: backend.adminState,
    up: backend.isUp(now),
    accepting: backend.isAccepting(now),
    appUp: backend.appUp,
    agentUp: backend.agentUp,
    ...(backend.ejectedUntil > now && { ejectedUntil: backend.ejectedUntil }),
    upSince: backend.upSince,
    leased: parts.dataPlane.isLeased(backend),
    inFlight: backend.inFlight,
    agent,
    ...(drain && { drain }),
  };
}

async function askAgent(backend: Backend, agentClient: AgentClient): Promise<AgentReport> {
  try {
    const status = await agentClient.status(backend, AbortSignal.timeout(AGENT_TIMEOUT_MS));
    const { backend: _backend, application: _application, ...report } = status;
    return { state: 'ok', ...report };
  } catch (error) {
    // Not an error of this API: that the agent does not answer is the answer.
    return { state: 'unreachable', code: asStickshiftError(error).code };
  }
}
