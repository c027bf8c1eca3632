import type { Logger } from 'pino';
import type { AgentConfig } from '../../config/schema.ts';
import type { AppCheck } from './files/app-check.ts';
import type { SessionSource } from './session-source.ts';

export interface OpenSourceOptions {
  readonly config: AgentConfig;
  /** ID of the backend. */
  readonly backend: string;
  /** The agent token, which an app must show to connect over TCP. */
  readonly token: string;
  /** The app server's health check. Without it, what an app that has died has left of a session may pass for all of it. */
  readonly appCheck?: AppCheck;
  readonly logger: Logger;
}

/** The source that the configuration names, not started yet. Only its own modules are loaded. */
export async function openSource({
  config,
  backend,
  token,
  appCheck,
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
      const [{ createFilesSource }, { isAppAlive }] = await Promise.all([
        import('./files/files-source.ts'),
        import('./files/app-check.ts'),
      ]);
      return createFilesSource(source, logger, {
        maxSessions: limits.sessions,
        ...(appCheck && { isAppAlive: () => isAppAlive(appCheck) }),
      });
    }
  }
}
