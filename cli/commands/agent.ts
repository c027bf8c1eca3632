import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import type { Logger } from 'pino';
import { didYouMean } from '../../config/closest.ts';
import type { Config } from '../../config/schema.ts';
import { StickshiftError } from '../../protocol/errors.ts';
import type { CommandContext } from '../command-context.ts';
import { logFatal } from '../log-fatal.ts';

/** Above the time that a stopping agent takes at most to save what is dirty. */
const STOP_WITHIN_MS = 15_000;

export function addAgentCommand(program: Command, context: CommandContext): void {
  program
    .command('agent')
    .description('run the session agent of one app server')
    .argument(
      '[name]',
      'which of the configured agents (STICKSHIFT_AGENT; not needed when there is only one)',
    )
    .option('--config <file>', 'configuration file (STICKSHIFT_CONFIG; default: stickshift.yaml)')
    .action(async (name: string | undefined, options: { config?: string }) => {
      context.finish(await runAgent(name, options.config, context));
    });
}

async function runAgent(
  wanted: string | undefined,
  path: string | undefined,
  context: CommandContext,
): Promise<number> {
  const { env } = context.terminal;
  // Loaded here, so that the other commands start without all of it.
  const [{ loadConfig }, { createLogger, logLevelFrom }] = await Promise.all([
    import('../../config/load.ts'),
    import('../../telemetry/logger.ts'),
  ]);
  const level = await logFatal(createLogger({ role: 'agent' }), () => logLevelFrom(env));
  const named = wanted ?? env.STICKSHIFT_AGENT;
  // Until the configuration has been read, what it was called by is all that is known of it.
  const { loaded, chosen } = await logFatal(
    createLogger({ role: 'agent', ...(named && { name: named }), level }),
    () => {
      const loaded = loadConfig({ path, env });
      return { loaded, chosen: chooseAgent(loaded.config, named) };
    },
  );
  const logger = createLogger({ role: 'agent', name: chosen.name, level });
  const { config, file, variables } = loaded;
  logger.info({ version: context.version, file, variables }, 'configuration loaded');
  return logFatal(logger, () => serve(config, chosen, { logger, context }));
}

async function serve(
  config: Config,
  { name, agent, backend, application, urls, appCheck }: ReturnType<typeof chooseAgent>,
  { logger, context }: { logger: Logger; context: CommandContext },
): Promise<number> {
  const [
    { startTelemetry },
    { openStore },
    { neededReplicas },
    { tracedStore },
    { startAgent },
    { openSource },
    { deriveSecrets },
    { runService },
  ] = await Promise.all([
    import('../../telemetry/start-telemetry.ts'),
    import('../../store/open-store.ts'),
    import('../../store/needed-replicas.ts'),
    import('../../store/traced-store.ts'),
    import('../../session-agent/agent.ts'),
    import('../../session-agent/sources/open-source.ts'),
    import('../../protocol/secrets.ts'),
    import('../run-service.ts'),
  ]);
  await using opened = new AsyncDisposableStack();
  const telemetry = await startTelemetry({
    serviceName: 'stickshift-agent',
    instanceId: randomUUID(),
    version: context.version,
    env: context.terminal.env,
    logger,
  });
  opened.defer(() => telemetry.shutdown());
  return await runService({
    logger,
    stopWithinMs: STOP_WITHIN_MS,
    start: async () => {
      const { agentToken: token, installation } = deriveSecrets(config.secret);
      const store = await openStore(config.store, {
        installation,
        replicas: neededReplicas(config.pools),
        logger,
      });
      opened.defer(() => store.close());
      const { keys } = config.store.encryption;
      return await startAgent({
        config: agent,
        name,
        secret: config.secret,
        ...(keys && { encryptionKeys: keys }),
        store: telemetry.tracing ? tracedStore(store) : store,
        source: await openSource({ config: agent, backend, token, appCheck, logger }),
        logger,
        application,
        backendUrl: urls.url,
        agentUrl: urls.agent,
        metricsHandler: (request, response) => telemetry.metricsHandler(request, response),
      });
    },
  });
}

/**
 * The cross checks of the configuration have made sure that an agent's pool and backend exist.
 *
 * @throws StickshiftError `CONFIG_INVALID`
 */
function chooseAgent(config: Config, wanted: string | undefined) {
  const names = Object.keys(config.agents);
  const name = wanted || (names.length === 1 ? names[0] : undefined);
  if (name === undefined) {
    const choice = names.length === 0 ? 'the configuration has none' : `one of ${names.join(', ')}`;
    throw new StickshiftError('CONFIG_INVALID', `which agent? Name it on the command line: ${choice}`);
  }
  const agent = Object.hasOwn(config.agents, name) ? config.agents[name] : undefined;
  const pool = agent && config.pools[agent.pool];
  const backend = agent?.backend ?? name;
  const urls = pool?.backends[backend];
  if (!agent || !urls) {
    throw new StickshiftError('CONFIG_INVALID', `no agent is called "${name}"${didYouMean(name, names)}`);
  }
  const { path, timeout } = pool.health;
  const appCheck = { url: new URL(path, urls.url), timeout };
  return { name, agent, backend, application: pool.application ?? agent.pool, urls, appCheck };
}
