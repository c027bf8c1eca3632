import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { localUrl } from '../config/listen-address.ts';
import type { Config } from '../config/schema.ts';
import { AdminClient } from './admin-client.ts';
import { CommandError, EXIT } from './exit-status.ts';

const DEFAULT_ADMIN_URL = 'http://127.0.0.1:8081';

export interface AdminOptions {
  readonly admin?: string;
  readonly config?: string;
}

/** Gives a command the options that say which gateway it is about. */
export function withAdminOptions(command: Command): Command {
  return command
    .option('--admin <url>', 'admin API of the gateway (STICKSHIFT_ADMIN_URL; default: by the configuration)')
    .option('--config <file>', 'configuration file to take address and token from (STICKSHIFT_CONFIG)');
}

/**
 * Finds the gateway: by `--admin`, by `--config`, by STICKSHIFT_ADMIN_URL, by the configuration file where there is one, else at
 * the default address. A configuration that is broken is no obstacle for somebody who has named the gateway.
 */
export async function connectToGateway(options: AdminOptions, env: NodeJS.ProcessEnv): Promise<AdminClient> {
  // What is typed is meant for this command; what the environment says was set for all of them, perhaps long ago.
  const byFile = options.admin === undefined && options.config !== undefined;
  const named = byFile ? undefined : (options.admin ?? (env.STICKSHIFT_ADMIN_URL || undefined));
  const token = env.STICKSHIFT_ADMIN_TOKEN || undefined;
  if (named !== undefined && token !== undefined) return new AdminClient({ url: adminUrl(named), token });

  let config: Config | undefined;
  try {
    config = await configIfThere(options.config, env);
  } catch (error) {
    if (named === undefined) throw error;
  }
  const admin = config?.gateway.admin;
  return new AdminClient({
    url: adminUrl(named ?? (admin ? localUrl(admin.listen) : DEFAULT_ADMIN_URL)),
    // The environment's token belongs to the environment's gateway, which is perhaps another one than this file's.
    token: byFile ? (admin?.token ?? token) : (token ?? admin?.token),
  });
}

/** Ends a line about what a gateway was told: which one it was, unless it is the one that everybody expects. */
export function whichGateway({ url }: AdminClient): string {
  return url === DEFAULT_ADMIN_URL ? '' : ` (gateway at ${url})`;
}

async function configIfThere(path: string | undefined, env: NodeJS.ProcessEnv): Promise<Config | undefined> {
  // Loading the schema takes a while; an operator who names the gateway does not wait for it.
  const { configPath, loadConfig } = await import('../config/load.ts');
  const wasNamed = path !== undefined || Boolean(env.STICKSHIFT_CONFIG);
  if (!wasNamed && !existsSync(configPath({ path, env }))) return undefined;
  return loadConfig({ path, env }).config;
}

function adminUrl(text: string): string {
  const url = URL.parse(text.includes('://') ? text : `http://${text}`);
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url.origin;
  throw new CommandError(`"${text}" is no URL of an admin API, such as ${DEFAULT_ADMIN_URL}`, {
    status: EXIT.usage,
  });
}
