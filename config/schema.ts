import * as z from 'zod';
import { splitAddress } from './listen-address.ts';
import { settingFacts } from './setting-facts.ts';
import { duration, optionalDuration, size, wait } from './units.ts';

const name = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._-]{0,62}$/,
    'expected a name of lower-case letters, digits, dots, dashes (at most 63)',
  );

const httpUrl = z.url({ protocol: /^http$/, error: 'expected an http:// URL' });

const address = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[^:[\]/]+):\d{1,5}$/, {
    error: 'expected host:port, such as 127.0.0.1:8080',
    abort: true,
  })
  .refine((text) => splitAddress(text).port <= 65_535, 'expected a port up to 65535');

/** Each has a heap, a store connection and a lease at every agent of its own. */
export const MOST_WORKERS = 64;

const workers = z
  .union([z.literal('auto'), z.int().min(1).max(MOST_WORKERS)])
  .register(settingFacts, { unit: 'whole number or auto' });

const listen = (fallback: string, what: string) => address.default(fallback).describe(what);

const keyList = z
  .array(z.string().min(16, 'expected at least 16 characters'))
  .min(1, 'expected at least one key')
  .register(settingFacts, { secret: true })
  .optional()
  .describe('Rotation list: the first is used, all are accepted. Default: derived from `secret`.');

const storeSchema = z
  .strictObject({
    url: z
      .string()
      .regex(
        /^(sqlite:.+|rediss?:\/\/.+|redis\+sentinel:\/\/.+|redis\+cluster:\/\/.+)$/,
        'expected sqlite:PATH, redis://HOST:PORT, redis+sentinel://HOST:PORT,HOST:PORT/SERVICE or redis+cluster://HOST:PORT,HOST:PORT',
      )
      // It may hold a password.
      .register(settingFacts, { secret: true })
      .default('sqlite:.stickshift/sessions.sqlite')
      .describe('Where snapshots are kept. Gateways and agents of one installation share it.'),
    commandTimeout: wait('500ms').describe('How long one store command may take.'),
    settle: wait('5s', { mayBeZero: true }).describe(
      'After the store was restarted, failed over or lost data, how long no session is taken over, so that owners can write again what it forgot.',
    ),
    encryption: z
      .strictObject({ keys: keyList })
      .prefault({})
      .describe('Keys that seal snapshots (AES-256-GCM).'),
  })
  .prefault({});

const affinitySchema = z
  .strictObject({
    cookie: z
      .string()
      .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'expected a cookie name')
      .default('stickshift')
      .describe('Name of the affinity cookie. With several pools, `-` and the pool’s name are appended.'),
    maxAge: duration('7d').describe('An affinity cookie older than this is no cookie.'),
    idle: duration('24h').describe('An affinity cookie not seen for this long is no cookie.'),
    renewAfter: duration('10m').describe(
      'How old its last-seen time may grow before the cookie is set again.',
    ),
    keys: keyList,
    domain: z.string().optional().describe('Domain attribute.'),
    partitioned: z
      .boolean()
      .default(false)
      .describe('Partitioned attribute (CHIPS); implies Secure and SameSite=None.'),
    sameSite: z.enum(['Lax', 'Strict', 'None']).default('Lax').describe('SameSite attribute.'),
    secure: z
      .enum(['auto', 'always', 'never'])
      .default('auto')
      .describe(
        'Secure attribute; `auto`: when the client came over TLS (X-Forwarded-Proto of a trusted proxy counts).',
      ),
  })
  .prefault({});

const tlsSchema = z.strictObject({
  certificates: z
    .array(
      z.strictObject({
        cert: z
          .string()
          .min(1)
          .describe(
            'PEM file of a certificate, followed by those between it and its root. The first one is for clients that name no host, or one that no other is for. Without `tls` the gateway speaks plain HTTP; see [TLS and HTTP/2](guides/tls.md).',
          ),
        key: z
          .string()
          .min(1)
          .describe(
            'PEM file of its private key, without a passphrase. Both are read again when they change.',
          ),
      }),
    )
    .min(1, 'expected at least one certificate'),
  minVersion: z
    .enum(['TLSv1.2', 'TLSv1.3'])
    .default('TLSv1.2')
    .describe('Clients that speak older versions only are refused.'),
  http2: z.boolean().default(true).describe('Offer HTTP/2 beside HTTP/1.1.'),
  redirect: z
    .strictObject({
      listen: address.describe(
        'Where plain HTTP is answered with a redirect to https. Without it, nothing is.',
      ),
      port: z
        .number()
        .int()
        .min(1)
        .max(65_535)
        .default(443)
        .describe('Port of https as clients see it; the redirect names it unless it is 443.'),
    })
    .optional(),
});

const gatewaySchema = z
  .strictObject({
    listen: listen('127.0.0.1:8080', 'Where clients connect, by TLS if `gateway.tls` is set.'),
    tls: tlsSchema.optional().describe('Has the gateway speak TLS, and HTTP/2.'),
    admin: z
      .strictObject({
        listen: listen('127.0.0.1:8081', 'Where the admin API, /healthz, /readyz and /metrics answer.'),
        token: z
          .string()
          .min(16, 'expected at least 16 characters')
          .register(settingFacts, { secret: true })
          .optional()
          .describe('Bearer token of the admin API; needed unless it listens on loopback.'),
      })
      .prefault({}),
    trustedProxies: z
      .array(z.string())
      .default([])
      .describe('Addresses or CIDR ranges whose X-Forwarded-* headers are believed.'),
    affinity: affinitySchema,
    timeouts: z
      .strictObject({
        head: wait('10s').describe('A client must have sent its request head by then.'),
        body: wait('30s').describe('Longest pause while a request body arrives.'),
        connect: wait('1s').describe('Connecting to a backend.'),
        firstByte: wait('60s').describe('From the end of the request to the first byte of the answer.'),
        idle: wait('60s').describe(
          'Longest pause within an answer (WebSockets and event streams are exempt).',
        ),
        keepAlive: wait('75s', { mayBeZero: true }).describe(
          'How long an idle client connection stays open.',
        ),
        agent: wait('2s').describe('One call of an agent, apart from held commits.'),
        hold: wait('5s', { atMost: '60s' }).describe('How long a response may be held for its commit.'),
        move: wait('5s').describe('How long a request waits for its session to be moved.'),
        shutdown: wait('30s', { mayBeZero: true }).describe(
          'After SIGTERM, how long requests in flight may take.',
        ),
      })
      .prefault({}),
    limits: z
      .strictObject({
        head: size('16KiB').describe('Largest request head; more is 431.'),
        spool: size('1MiB').describe('Largest response body that is held; more streams and is counted.'),
        connections: z
          .number()
          .int()
          .positive()
          .default(16384)
          .describe('Open client connections. With several workers, each takes an equal share of them.'),
      })
      .prefault({}),
    drain: z
      .strictObject({
        deadline: wait('60s', { mayBeZero: true }).describe(
          'After it, requests and WebSockets still on a draining backend are closed.',
        ),
      })
      .prefault({}),
    fastLane: z
      .boolean()
      .default(true)
      .describe(
        'Serve ordinary requests from socket to socket. Without it, all take the way of unusual ones: the same, at three times the CPU.',
      ),
    workers: workers
      .default(1)
      .describe(
        'Threads that serve clients, 1 to 64; `auto`: one for each core. See [Workers](architecture.md#workers).',
      ),
    accessLog: z.boolean().default(false).describe('One log line per request.'),
  })
  .prefault({});

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

const poolSchema = z.strictObject({
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

const agentSchema = z.strictObject({
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

/** The whole of `stickshift.yaml`. Durations come out as milliseconds, sizes as bytes. */
export const configSchema = z
  .strictObject({
    secret: z
      .string()
      .min(32, 'expected at least 32 characters; `openssl rand -hex 32` makes some')
      .register(settingFacts, { secret: true })
      .describe('The installation’s secret: session keys, agent token and default keys are derived from it.'),
    store: storeSchema,
    gateway: gatewaySchema,
    pools: z.record(name, poolSchema).default({}),
    agents: z.record(name, agentSchema).default({}),
  })
  .describe('Stickshift configuration');

/** What may stand in the file. */
export type ConfigInput = z.input<typeof configSchema>;
/** With every default filled in. */
export type Config = z.output<typeof configSchema>;
export type GatewayConfig = Config['gateway'];
export type TlsConfig = NonNullable<GatewayConfig['tls']>;
export type StoreConfig = Config['store'];
export type PoolConfig = Config['pools'][string];
export type AgentConfig = Config['agents'][string];
export type SessionIdRule = PoolConfig['session'];
