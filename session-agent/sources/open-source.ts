import type { Logger } from 'pino';
import type { AgentConfig } from '../../config/schema.ts';
import type { SessionSource } from './session-source.ts';

export interface OpenSourceOptions {
  readonly config: AgentConfig;
  /** ID of the backend. */
  readonly backend: string;
  /** The agent token, which an app must show to connect over TCP. */
  readonly token: string;
  readonly logger: Logger;
}

/** The source that the configuration names, not started yet. Only its own modules are loaded. */
export async function openSource({
  config,
  backend,
  token,
  logger,
}: OpenSourceOptions): Promise<SessionSource> {
  const { source, limits } = config;
  switch (source.type) {
    case 'express': {
      const { createExpressSource } = await import('./express/express-source.ts');
      return createExpressSource({
        listen: source.listen,
        token,
        backend,
        logger,
        maxSession: limits.session,
      });
    }
    case 'files': {
      const { createFilesSource } = await import('./files/files-source.ts');
      return createFilesSource(source, logger, { maxSessions: limits.sessions });
    }
  }
}
