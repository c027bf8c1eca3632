import type { Command } from 'commander';
import type { SessionLookupAnswer } from '../../gateway/admin-api/admin-api-types.ts';
import { type AdminOptions, connectToGateway, withAdminOptions } from '../admin-access.ts';
import type { CommandContext } from '../command-context.ts';
import { CommandError, EXIT } from '../exit-status.ts';
import { readableDuration, readableSize } from '../readable.ts';

const ABSENT =
  'The store has no record of this session: it expired, was never saved, or the ID is another one.';

/** Longer than any option. Session keys and most session IDs have an alphabet with a dash, and one of 64 begins with it. */
const DASHED_ID = /^-(?!-[a-z]+(-[a-z]+)*=)[\x21-\x7e]{20,}$/;

/** A command line in which a session ID that looks like options is none. */
export function withIdBehindOptions(args: readonly string[]): readonly string[] {
  if (args[0] !== 'session' || args.includes('--')) return args;
  const index = args.findIndex((arg) => DASHED_ID.test(arg));
  return index === -1 ? args : [...args.toSpliced(index, 1), '--', ...args.slice(index, index + 1)];
}

export function addSessionCommand(program: Command, context: CommandContext): void {
  const { terminal } = context;
  withAdminOptions(program.command('session'))
    .description('show where a session is and what the store has of it')
    .argument('<id-or-key>', 'session ID, or session key from a log; "-" reads it from standard input')
    .option('--pool <name>', 'look only in this pool')
    .option('--json', 'print the gateway’s answer as JSON')
    .action(async (idOrKey: string, options: AdminOptions & { pool?: string; json?: boolean }) => {
      // Whoever types an ID leaves it in the shell's history, and a session ID is as good as a login.
      const session = idOrKey === '-' ? (await terminal.readInput()).trim() : idOrKey;
      if (session === '')
        throw new CommandError('Which session? Standard input is empty.', { status: EXIT.usage });
      const gateway = await connectToGateway(options, terminal.env);
      const record = await gateway.lookUp({
        session,
        ...(options.pool !== undefined && { pool: options.pool }),
      });
      if (options.json) terminal.out(`${JSON.stringify(record ?? null)}\n`);
      else if (record) terminal.out(formatRecord(record, Date.now()));
      if (record) return;
      if (!options.json) terminal.err(`${ABSENT}\n`);
      context.finish(EXIT.failed);
    });
}

const STATES: Readonly<Record<SessionLookupAnswer['state'], string>> = {
  active: 'active',
  released: 'released; its next request gives it an owner',
  ended: 'ended (logged out); nothing brings it back',
};

/** @param now - milliseconds since 1970 */
export function formatRecord(record: SessionLookupAnswer, now: number): string {
  const expires = record.expiresAt - now;
  const lines: [string, string][] = [
    ['Session key', record.key],
    ['Pool', record.pool ?? 'not known from the key alone'],
    ['State', STATES[record.state]],
    ['Owner', record.owner],
    ['Epoch', `${record.epoch}`],
    ['Seq', `${record.seq}`],
    ['Snapshot', `${readableSize(record.size)} sealed, committed ${readableDuration(record.ageMs)} ago`],
    ['Expires', expires > 0 ? `in ${readableDuration(expires)}` : 'now'],
  ];
  return lines.map(([name, value]) => `${name.padEnd(13)}${value}\n`).join('');
}
