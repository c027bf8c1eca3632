import * as z from 'zod';
import { optionalDuration, wait } from '../units.ts';
import { httpUrl, name } from './values.ts';

const RESERVED_HEADERS: ReadonlySet<string> = new Set([
  ...['host', 'connection', 'content-length', 'transfer-encoding', 'upgrade', 'expect', 'te', 'trailer'],
  ...['keep-alive', 'proxy-connection', 'cookie', 'set-cookie', 'http2-settings'],
]);

const sessionIdSchema = z
  .strictObject({
    cookie: z.string().min(1).optional().describe('Cookie that carries the session ID.'),
    header: z
      .string()
      .min(1)
      .refine((name) => !RESERVED_HEADERS.has(name.toLowerCase()), {
        error: 'expected a header of the application, not one by which messages are framed or cookies kept',
      })
      .optional()
      .describe('Request (and response) header that carries it.'),
    query: z.string().min(1).optional().describe('Query parameter that carries it.'),
    pathParameter: z
      .string()
      .min(1)
      .optional()
      .describe('Path parameter that carries it, as in ;jsessionid=…'),
    format: z
      .enum(['plain', 'express', 'tomcat'])
      .default('plain')
      .describe('`express`: `s:<id>.<signature>`; `tomcat`: `<id>.<route>`; only the ID is used.'),
  })
  .refine((rule) => rule.cookie ?? rule.header ?? rule.query ?? rule.pathParameter, {
    error: 'expected at least one of cookie, header, query, pathParameter',
  });

const healthSchema = z
  .strictObject({
    path: z
      .string()
      .startsWith('/')
      .default('/healthz')
      .describe('Path on the app server that answers 2xx or 3xx.'),
    interval: wait('1s').describe('Pause between two checks.'),
    timeout: wait('900ms').describe('How long one check may take.'),
    rise: z.number().int().positive().default(2).describe('Good checks in a row before a backend is up.'),
    fall: z.number().int().positive().default(3).describe('Bad checks in a row before a backend is down.'),
  })
  .prefault({});

const durability = z.enum(['async', 'ack', 'replica']);
const hold = z.enum(['writes', 'all', 'never']);
const onStoreDown = z.enum(['serve', 'refuse']);

const durabilityRouteSchema = z.strictObject({
  paths: z
    .array(z.string().startsWith('/'))
    .min(1)
    .describe('Path prefixes that this entry applies to. The first entry that fits a request counts.'),
  methods: z
    .array(z.string().regex(/^[A-Z-]+$/, 'expected a method in capitals, such as POST'))
    .optional()
    .describe('Only these methods. Default: all.'),
  durability: durability.optional().describe('Default: the pool’s.'),
  hold: hold.optional().describe('Default: the pool’s.'),
  onStoreDown: onStoreDown.optional().describe('Default: the pool’s.'),
});

export const poolSchema = z.strictObject({
  application: name.optional().describe('Application name in session keys. Default: the pool’s name.'),
  match: z
    .strictObject({
      hosts: z.array(z.string()).default([]).describe('Host names served by this pool; empty: all.'),
      paths: z
        .array(z.string().startsWith('/'))
        .default([])
        .describe('Path prefixes served by this pool; empty: all.'),
    })
    .prefault({}),
  session: sessionIdSchema,
  balance: z
    .enum(['least-connections', 'round-robin', 'rendezvous'])
    .default('least-connections')
    .describe('How an unbound client gets its backend.'),
  durability: durability
    .default('ack')
    .describe(
      'What must be true before the answer to a write goes out. `async`: the agent has noted it; `ack`: the store has it; `replica`: replicas of the store have it too (Redis).',
    ),
  replicas: z.number().int().min(1).max(16).default(1).describe('For `replica`: how many replicas.'),
  onStoreDown: onStoreDown
    .default('serve')
    .describe(
      'While the store cannot be reached. `serve`: the answer to a write goes out once the change is in the agent’s journal on disk, and counts as at risk; `refuse`: it gets 503. `replica` always refuses.',
    ),
  hold: hold
    .default('writes')
    .describe(
      'Which answers wait for their commit: those to unsafe methods and those that set the session, and reads while the agent is silent; every one; none, so that a client may hear of a logout or a purchase before it is safe.',
    ),
  routes: z
    .array(durabilityRouteSchema)
    .default([])
    .describe('Other durability for some paths; the first entry that fits counts.'),
  maxSnapshotAge: optionalDuration().describe(
    'A takeover refuses a snapshot last committed longer ago than this. Default: any age will do.',
  ),
  health: healthSchema,
  ejection: z
    .strictObject({
      failures: z
        .number()
        .int()
        .positive()
        .default(3)
        .describe('Failed connects or resets in a row before ejection.'),
      duration: wait('5s').describe('Length of the first ejection; doubles up to a minute.'),
    })
    .prefault({})
    .describe('Passive health: what requests themselves tell.'),
  backends: z
    .record(
      name,
      z.strictObject({
        url: httpUrl.describe('URL of the app server.'),
        agent: httpUrl.describe('URL of its session agent.'),
        weight: z.number().int().min(0).max(1000).default(100).describe('Share of new clients.'),
      }),
    )
    .refine((backends) => Object.keys(backends).length > 0, { error: 'expected at least one backend' }),
});
