import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { CollectedSpan } from '../services/trace-collector.ts';
import type { Visit, Visitor } from '../services/visitor.ts';
import { TracedInstallation } from './fixtures/traced-installation.ts';

/** As long as an agent that was started waits for gateways that may trust in its former life, and a little more. */
const FORMER_LIFE_MS = 3_100;

/** A client with a trace of its own, who wants it recorded. */
function recordingClient() {
  const traceId = randomBytes(16).toString('hex');
  const spanId = randomBytes(8).toString('hex');
  return { traceId, spanId, headers: { traceparent: `00-${traceId}-${spanId}-01` } };
}

/** The spans below one, as they follow each other, each with what tells it apart. */
function treeBelow(spans: readonly CollectedSpan[], parentSpanId: string, indent = ''): string[] {
  return spans
    .filter((span) => span.parentSpanId === parentSpanId)
    .sort((a, b) => Number(a.startedAt - b.startedAt))
    .flatMap((span) => [`${indent}${describeSpan(span)}`, ...treeBelow(spans, span.spanId, `${indent}  `)]);
}

const TELLING = [
  'stickshift.backend',
  'http.request.resend_count',
  'stickshift.store.operation',
  'stickshift.handoff.reason',
  'stickshift.handoff.from',
  'stickshift.handoff.to',
  'stickshift.outcome',
  'stickshift.session.epoch',
  'http.response.status_code',
];

function describeSpan({ service, name, attributes, error }: CollectedSpan): string {
  const told = TELLING.map((attribute) => attributes[attribute]).filter((value) => value !== undefined);
  const failure = error === undefined ? [] : [`error ${error}`];
  return [`${service.replace('stickshift-', '')}: ${name}`, ...told, ...failure].join(', ');
}

/** A visitor whose session lives on one of the two shops, by a request that nobody recorded. */
async function visitorWithSession(installation: TracedInstallation) {
  const visitor = installation.visitor();
  const { status, server: from = '' } = await visitor.post('/cart/apple');
  assert.equal(status, 200);
  return { visitor, from, to: from === 'app-1' ? 'app-2' : 'app-1' };
}

/** The `session moved` line of the gateway, which is where somebody on call begins. */
function movedLine(log: string): Record<string, unknown> {
  const line = log.split('\n').find((text) => text.includes('"msg":"session moved"'));
  assert.ok(line, log);
  return JSON.parse(line);
}

/** Stops everything, so that nothing is on its way any more, and looks for the session ID wherever it must not be. */
async function stopAndSearch(installation: TracedInstallation, { sessionId }: Visitor): Promise<string> {
  const metrics = await installation.metrics();
  await installation.stop();
  const log = await installation.log();
  assert.match(sessionId, /^[\w-]{32}$/);
  assert.match(metrics, /stickshift_gateway_moves_total/);
  for (const [where, text] of Object.entries({ metrics, log, spans: installation.collector.received })) {
    assert.ok(!text.includes(sessionId), `the session ID stands in ${where}`);
  }
  const [handoff] = installation.collector.spans.filter(({ name }) => name === 'session.handoff');
  assert.ok(!metrics.includes(String(handoff?.attributes['stickshift.session.key'])), 'no key in metrics');
  return log;
}

function assertArrived(visit: Visit, server: string, cart = ['apple']): void {
  assert.deepEqual([visit.status, visit.server, visit.body], [200, server, cart]);
}

describe('a failover is one trace', () => {
  test('from the client’s request to the shop that refuses it, through the hand-off, to the shop that answers', async () => {
    await using installation = await TracedInstallation.start();
    const { visitor, from, to } = await visitorWithSession(installation);
    // Or the release would have to be asked for again and again.
    await delay(FORMER_LIFE_MS);
    await installation.tell(from, '/deafen');
    const client = recordingClient();
    assertArrived(await visitor.post('/cart/pear', client.headers), to, ['apple', 'pear']);
    const log = await stopAndSearch(installation, visitor);

    const { spans } = installation.collector;
    assert.deepEqual(treeBelow(spans, client.spanId), [
      'gateway: POST, 200',
      `  gateway: POST, ${from}, 0, error CONNECT_FAILED`,
      '  gateway: session.store, lookup, active',
      `  gateway: session.handoff, takeover, ${from}, ${to}, found, 2`,
      `    gateway: POST /v1/sessions/release, ${from}, 200`,
      `      agent: session.release, ${from}, released, 1`,
      '        agent: session.store, release, released',
      `    gateway: POST /v1/sessions/adopt, ${to}, 200`,
      `      agent: session.adopt, ${to}, takeover, found, 2`,
      '        agent: session.store, adopt, adopted',
      `  gateway: POST, ${to}, 1, 200`,
      '    shop: shop POST',
      `  gateway: POST /v1/sessions/commit, ${to}, 200`,
      `    agent: session.commit, ${to}, committed`,
    ]);
    assert.ok(spans.every(({ traceId }) => traceId === client.traceId));

    const { attributes } = spans.find(({ name }) => name === 'session.handoff') ?? {};
    assert.equal(attributes?.['stickshift.session.seq'], 1);
    assert.ok(Number(attributes?.['stickshift.snapshot.age_ms']) > 0);
    assert.ok(Number(attributes?.['stickshift.snapshot.size']) > 0);
    const line = movedLine(log);
    assert.equal(line.trace_id, client.traceId);
    assert.deepEqual({ ...attributes, ...line }, { ...line, ...attributes }, 'span and log line agree');
  });

  test('from the last commit, when shop and agent are dead', async () => {
    await using installation = await TracedInstallation.start();
    const { visitor, from, to } = await visitorWithSession(installation);
    await installation.kill(from);
    const client = recordingClient();
    assertArrived(await visitor.get('/cart', client.headers), to);
    await stopAndSearch(installation, visitor);

    const { spans } = installation.collector;
    assert.deepEqual(treeBelow(spans, client.spanId), [
      'gateway: GET, 200',
      '  gateway: session.store, lookup, active',
      `  gateway: session.handoff, takeover, ${from}, ${to}, found, 2`,
      `    gateway: POST /v1/sessions/adopt, ${to}, 200`,
      `      agent: session.adopt, ${to}, takeover, found, 2`,
      '        agent: session.store, adopt, adopted',
      `  gateway: GET, ${to}, 0, 200`,
      '    shop: shop GET',
    ]);
    assert.ok(spans.every(({ traceId }) => traceId === client.traceId));
  });

  test('from what the old shop released, when it is planned', async () => {
    await using installation = await TracedInstallation.start();
    const { visitor, from, to } = await visitorWithSession(installation);
    await installation.drain(from);
    const client = recordingClient();
    assertArrived(await visitor.get('/cart', client.headers), to);
    await stopAndSearch(installation, visitor);

    const { spans } = installation.collector;
    assert.deepEqual(treeBelow(spans, client.spanId), [
      'gateway: GET, 200',
      '  gateway: session.store, lookup, released',
      `  gateway: session.handoff, drain, ${from}, ${to}, found, 2`,
      `    gateway: POST /v1/sessions/adopt, ${to}, 200`,
      `      agent: session.adopt, ${to}, drain, found, 2`,
      '        agent: session.store, adopt, adopted',
      `  gateway: GET, ${to}, 0, 200`,
      '    shop: shop GET',
    ]);
    assert.ok(spans.every(({ traceId }) => traceId === client.traceId));
  });

  test('with nothing but the hand-off in it when the request is not recorded', async () => {
    await using installation = await TracedInstallation.start();
    const { visitor, from, to } = await visitorWithSession(installation);
    await installation.kill(from);
    const visit = await visitor.get('/cart');
    assertArrived(visit, to);
    const log = await stopAndSearch(installation, visitor);

    const { spans } = installation.collector;
    const [handoff] = spans.filter(({ name }) => name === 'session.handoff');
    assert.ok(handoff);
    assert.deepEqual(treeBelow(spans, handoff.parentSpanId), [
      `gateway: session.handoff, takeover, ${from}, ${to}, found, 2`,
      `  gateway: POST /v1/sessions/adopt, ${to}, 200`,
      `    agent: session.adopt, ${to}, takeover, found, 2`,
      '      agent: session.store, adopt, adopted',
    ]);
    assert.equal(spans.length, 4);
    // The shop is told of the same trace, and that nobody records it.
    assert.match(
      visit.headers.get('x-traceparent') ?? '',
      new RegExp(`^00-${handoff.traceId}-[0-9a-f]{16}-00$`),
    );
    assert.equal(movedLine(log).trace_id, handoff.traceId);
  });
});
