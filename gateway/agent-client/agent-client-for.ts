import type { Config } from '../../config/schema.ts';
import { deriveSecrets } from '../../protocol/secrets.ts';
import { type AgentClient, createAgentClient } from './agent-client.ts';

/** A client of the agents of this configuration. */
export function agentClientFor({ secret, gateway: { timeouts } }: Config): AgentClient {
  return createAgentClient({
    token: deriveSecrets(secret).agentToken,
    timeoutMs: timeouts.agent,
    releasePatienceMs: timeouts.move / 2,
  });
}
