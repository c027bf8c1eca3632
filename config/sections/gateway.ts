import * as z from 'zod';
import { settingFacts } from '../setting-facts.ts';
import { duration, size, wait } from '../units.ts';
import { address, keyList, listen } from './values.ts';

/** Each has a heap, a store connection and a lease at every agent of its own. */
export const MOST_WORKERS = 64;

const workers = z
  .union([z.literal('auto'), z.int().min(1).max(MOST_WORKERS)])
  .register(settingFacts, { unit: 'whole number or auto' });

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

export const gatewaySchema = z
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
