import type { Command } from 'commander';
import type { LoadedConfig } from '../../config/load.ts';
import type { Problem } from '../../config/problems.ts';
import type { CertificateRemark } from '../../gateway/tls/check-certificates.ts';
import { asStickshiftError } from '../../protocol/errors.ts';
import type { CommandContext } from '../command-context.ts';
import { errorText } from '../error-text.ts';
import { EXIT } from '../exit-status.ts';
import { counted } from '../readable.ts';

export function addConfigCommand(program: Command, context: CommandContext): void {
  const { terminal } = context;
  const config = program
    .command('config')
    .description('check a configuration, or print what follows from it');

  config
    .command('check')
    .description('say everything that is wrong with the configuration, environment included')
    .argument('[file]', 'configuration file (STICKSHIFT_CONFIG; default: stickshift.yaml)')
    .option('--config <file>', 'the same as an option, as other commands have it')
    .option('--json', 'print the result as JSON')
    .action(async (file: string | undefined, options: { config?: string; json?: boolean }) => {
      const { loadConfig } = await import('../../config/load.ts');
      const { ConfigError, problemAsLine } = await import('../../config/problems.ts');
      try {
        const loaded = loadConfig({ path: file ?? options.config, env: terminal.env });
        const { lines, warnings: ofCertificates } = await certificates(loaded);
        const warnings = [...withoutPools(loaded), ...ofCertificates];
        if (options.json) {
          const { file, variables } = loaded;
          terminal.out(`${JSON.stringify({ valid: true, file, variables, warnings })}\n`);
        } else {
          for (const warning of warnings) terminal.err(`warning: ${problemAsLine(warning)}\n`);
          terminal.out(summary(loaded, lines));
        }
      } catch (error) {
        const failure = asStickshiftError(error);
        if (failure.code !== 'CONFIG_INVALID') throw error;
        const problems = error instanceof ConfigError ? error.problems : [];
        if (options.json) {
          terminal.out(`${JSON.stringify({ valid: false, problems, message: failure.message })}\n`);
        } else {
          for (const line of problems.map(problemAsLine)) terminal.err(`${line}\n`);
          terminal.err(
            problems.length > 0
              ? `${counted(problems.length, 'problem')} found.\n`
              : `${errorText(failure)}\n`,
          );
        }
        context.finish(EXIT.usage);
      }
    });

  config
    .command('schema')
    .description('print the JSON Schema of the configuration file, for editors')
    .action(async () => {
      const { jsonSchema } = await import('../../config/json-schema.ts');
      terminal.out(jsonSchema());
    });

  config
    .command('agent-token')
    .description('print the agent token, which an app needs that reaches its agent over TCP')
    .option('--config <file>', 'configuration file (STICKSHIFT_CONFIG; default: stickshift.yaml)')
    .action(async (options: { config?: string }) => {
      const { loadConfig } = await import('../../config/load.ts');
      const { deriveSecrets } = await import('../../protocol/secrets.ts');
      const { config } = loadConfig({ path: options.config, env: terminal.env });
      terminal.out(`${deriveSecrets(config.secret).agentToken}\n`);
    });
}

/** No mistake in itself: such a file does to print the agent token. */
function withoutPools({ config, locate }: LoadedConfig): Problem[] {
  if (Object.keys(config.pools).length > 0) return [];
  const message = 'no pool is configured; a gateway will not start with this file';
  return [{ origin: locate(['pools']), key: '', message }];
}

/**
 * @returns what the summary says of each certificate, and what is not wrong yet
 * @throws ConfigError with everything for which a gateway would not start, or be refused by its clients
 */
async function certificates({ config, locate }: LoadedConfig): Promise<{
  lines: readonly [string, string][];
  warnings: readonly Problem[];
}> {
  const { tls } = config.gateway;
  if (!tls) return { lines: [], warnings: [] };
  const { checkCertificates } = await import('../../gateway/tls/check-certificates.ts');
  const { ConfigError, keyOf } = await import('../../config/problems.ts');
  const asProblem = ({ index, part, message }: CertificateRemark): Problem => {
    const path = ['gateway', 'tls', 'certificates', index, part];
    return { origin: locate(path), key: keyOf(path), message };
  };
  const { certificates, problems, warnings } = await checkCertificates(tls);
  if (problems.length > 0) throw new ConfigError(problems.map(asProblem));
  return {
    lines: certificates.map(({ file, names, expiresAt }) => [
      'Certificate',
      `${names.join(', ') || file}, until ${new Date(expiresAt).toISOString().slice(0, 10)}`,
    ]),
    warnings: warnings.map(asProblem),
  };
}

function summary(
  { config, file, variables }: LoadedConfig,
  certificates: readonly [string, string][],
): string {
  const pools = Object.entries(config.pools).map(([name, { backends, durability, routes }]) => {
    const parts = [counted(Object.keys(backends).length, 'backend'), durability];
    if (routes.length > 0) parts.push(counted(routes.length, 'route'));
    return `${name} (${parts.join(', ')})`;
  });
  const agents = Object.keys(config.agents);
  const lines: [string, string][] = [
    ['Gateway', `${config.gateway.listen}, admin API ${config.gateway.admin.listen}`],
    ...certificates,
    ['Store', withoutPassword(config.store.url)],
    ['Pools', pools.join(', ') || 'none'],
    ['Agents', agents.join(', ') || 'none'],
    ['Environment', [...variables].sort().join(', ') || 'sets nothing'],
  ];
  return `${file} is valid.\n${lines.map(([name, value]) => `  ${name.padEnd(12)} ${value}\n`).join('')}`;
}

/** A password may hold what ends one elsewhere, up to the last @; that of sentinels is a parameter. */
function withoutPassword(url: string): string {
  return url.startsWith('sqlite:') ? url : url.replace(/\/\/.*@/, '//***@').replace(/\?.*/, '');
}
