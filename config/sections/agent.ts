import * as z from 'zod';
import { duration, optionalDuration, size, wait } from '../units.ts';
import { listen, name } from './values.ts';

const expressSourceSchema = z.strictObject({
  type: z.literal('express'),
  listen: z
    .string()
    .describe(
      'Where the app’s session store connects: a Unix socket path (/run/stickshift.sock) or host:port.',
    ),
});

const filesSourceSchema = z.strictObject({
  type: z.literal('files'),
  format: z
    .enum(['php', 'generic'])
    .default('php')
    .describe(
      '`php`: locking, in-place writes, owner and mode as PHP’s files handler; `generic`: temporary file and rename.',
    ),
  directory: z.string().min(1).describe('Directory of the session files.'),
  depth: z
    .number()
    .int()
    .min(0)
    .max(5)
    .default(0)
    .describe('Levels of one-character subdirectories (PHP’s `N;`).'),
  pattern: z
    .string()
    .refine((pattern) => pattern.split('{id}').length === 2, { error: 'expected {id} exactly once' })
    .default('sess_{id}')
    .describe('File name; `{id}` stands for the session ID.'),
  lifetime: duration('24m').describe('A file not modified for this long is expired (PHP’s gc_maxlifetime).'),
  owner: z
    .string()
    .regex(/^\d+:\d+$/, 'expected numeric uid:gid, such as 33:33')
    .optional()
    .describe(
      'Owner of session files that the agent creates, uid:gid. Default: that of the files in the directory, else of the directory.',
    ),
  scanInterval: wait('30s').describe(
    'How often the directory is read whole, in case a watch event was missed.',
  ),
});

const journalSchema = z
  .strictObject({
    directory: z
      .string()
      .min(1)
      .optional()
      .describe(
        'Where the journal is kept; of this agent alone. Default: `.stickshift/journal/` and the agent’s name.',
      ),
    size: size('64MiB').describe(
      'Most that the journal may take; beyond it, writes are refused while the store is away.',
    ),
  })
  .prefault({})
  .describe(
    'What cannot be committed while the store is away is kept here, and committed after a restart of the agent too.',
  );

export const agentSchema = z.strictObject({
  backend: name.optional().describe('Backend that this agent stands beside. Default: the agent’s name.'),
  pool: name.describe('Pool that the backend belongs to.'),
  listen: listen('127.0.0.1:9090', 'Where the control API answers.'),
  source: z.discriminatedUnion('type', [expressSourceSchema, filesSourceSchema]),
  limits: z
    .strictObject({
      session: size('1MiB').describe('Largest session that is saved; a larger one is shown as unprotected.'),
      sessions: z
        .number()
        .int()
        .positive()
        .default(1_000_000)
        .describe('Most sessions that one agent looks after.'),
      commits: z.number().int().positive().default(32).describe('Commits under way at once.'),
    })
    .prefault({}),
  journal: journalSchema,
  lifetime: z
    .strictObject({
      absolute: optionalDuration().describe('Longest life of a session, however busy. Default: none.'),
      tombstone: duration('24h').describe('How long a logged-out session’s tombstone stands, at least.'),
    })
    .prefault({}),
});
