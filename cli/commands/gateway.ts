import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import type { Logger } from 'pino';
import type { Config } from '../../config/schema.ts';
import type { LogLevel } from '../../telemetry/logger.ts';
import type { CommandContext } from '../command-context.ts';
import { logFatal } from '../log-fatal.ts';

/** Beyond `gateway.timeouts.shutdown`, for closing what no client waits for. */
const STOP_MARGIN_MS = 5_000;

export function addGatewayCommand(program: Command, context: CommandContext): void {
  program
    .command('gateway')
    .description('run a gateway')
    .option('--config <file>', 'configuration file (STICKSHIFT_CONFIG; default: stickshift.yaml)')
    .action(async (options: { config?: string }) => {
      context.finish(await runGateway(options.config, context));
    });
}

async function runGateway(path: string | undefined, context: CommandContext): Promise<number> {
  const { env } = context.terminal;
  // Loaded here, so that the other commands start without all of it.
  const [{ loadConfig }, { createLogger, logLevelFrom }] = await Promise.all([
    import('../../config/load.ts'),
    import('../../telemetry/logger.ts'),
  ]);
  const logLevel = await logFatal(createLogger({ role: 'gateway' }), () => logLevelFrom(env));
  const logger = createLogger({ role: 'gateway', level: logLevel });
  return logFatal(logger, () => {
    const loaded = loadConfig({ path, env });
    const { file, variables } = loaded;
    logger.info({ version: context.version, file, variables }, 'configuration loaded');
    return serve(loaded.config, { logger, logLevel, context });
  });
}

async function serve(
  config: Config,
  { logger, logLevel, context }: { logger: Logger; logLevel: LogLevel; context: CommandContext },
): Promise<number> {
  const [
    { startTelemetry },
    { openStore },
    { neededReplicas },
    { tracedStore },
    { startGateway },
    { deriveSecrets },
    { runService },
    { startGatewayWorker },
  ] = await Promise.all([
    import('../../telemetry/start-telemetry.ts'),
    import('../../store/open-store.ts'),
    import('../../store/needed-replicas.ts'),
    import('../../store/traced-store.ts'),
    import('../../gateway/gateway.ts'),
    import('../../protocol/secrets.ts'),
    import('../run-service.ts'),
    import('../start-gateway-worker.ts'),
  ]);
  await using opened = new AsyncDisposableStack();
  const { version } = context;
  const instanceId = randomUUID();
  const telemetry = await startTelemetry({
    serviceName: 'stickshift-gateway',
    instanceId,
    version,
    env: context.terminal.env,
    logger,
  });
  opened.defer(() => telemetry.shutdown());
  return await runService({
    logger,
    stopWithinMs: config.gateway.timeouts.shutdown + STOP_MARGIN_MS,
    start: async () => {
      const store = await openStore(config.store, {
        installation: deriveSecrets(config.secret).installation,
        replicas: neededReplicas(config.pools),
        logger,
      });
      opened.defer(() => store.close());
      return await startGateway({
        config,
        logger,
        store: telemetry.tracing ? tracedStore(store) : store,
        startWorker: (number) => startGatewayWorker({ number, config, logLevel, version, instanceId }),
        metricsHandler: (request, response) => telemetry.metricsHandler(request, response),
      });
    },
  });
}
