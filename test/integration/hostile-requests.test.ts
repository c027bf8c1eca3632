import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { ERROR_KINDS, type ErrorCode } from '../../protocol/errors.ts';
import { type Forwarded, type HostileRequest, head, SMUGGLED } from '../corpus/hostile-request.ts';
import { HOSTILE_REQUESTS } from '../corpus/requests.ts';
import { CertificateFiles } from '../services/certificate-files.ts';
import { GatewayUnderTest } from '../services/gateway-under-test.ts';
import { RawClient } from '../services/raw-client.ts';
import { type StrictRequest, type StrictResponse, valuesOf } from '../services/strict-http.ts';

const INFO = 30;
const SENTINEL = '/sentinel';
const sentinelRequest = head(`GET ${SENTINEL} HTTP/1.1`, 'Host: app.test', 'Connection: close');

let underTest: GatewayUnderTest;
let connect: () => Promise<RawClient>;
let scheme: 'http' | 'https';

for (const isTls of [false, true]) {
  describe(`the gateway is not deceived${isTls ? ', over TLS as without it,' : ''} by`, () => {
    before(async () => {
      await using files = await CertificateFiles.create();
      await files.put('app', ['app.test']);
      const tls = isTls && { tls: { ...files.settings('app'), http2: false } };
      // Short, because some of the corpus is a head that never ends.
      underTest = await GatewayUnderTest.start({ timeouts: { head: '1s' }, ...tls });
      const { port } = underTest;
      scheme = isTls ? 'https' : 'http';
      connect = () => (isTls ? RawClient.connectByTls(port) : RawClient.connect(port));
    });
    after(() => underTest.stop());
    afterEach(() => underTest.backend.forget());

    for (const hostile of HOSTILE_REQUESTS) {
      test(hostile.name, { timeout: 15_000 }, async () => {
        const logged = underTest.log.lines.length;
        const answers = await exchange(hostile);
        const seen = underTest.backend.requests.filter(({ target }) => target !== SENTINEL);
        assertSoundConnections();
        assertJudgement(hostile, answers, seen);
        assertLogged(answers, logged);
        await assertStillServing();
      });
    }
  });
}

/** Sends the request, and a harmless one behind it where the connection allows; returns the answers to the first. */
async function exchange(hostile: HostileRequest): Promise<StrictResponse[]> {
  const client = await connect();
  const methods = (hostile.forwarded ?? []).map(({ method }) => method ?? 'GET');
  client.send(hostile.raw);
  await client.answered(hostile.forwarded?.length ?? 1, methods);
  const before = client.responses(methods).messages.length;
  if (!client.closed) {
    // A server that read more or less than one message answers this one wrongly, or not at all.
    client.send(sentinelRequest);
    await client.until(() => client.closed);
  }
  const { messages, rest, violation } = client.responses(methods);
  assert.deepEqual(
    { rest, violation },
    { rest: '', violation: undefined },
    'the client was sent something malformed',
  );
  return messages.slice(0, before);
}

/** A strict reader understands every byte that the app server was sent, and nothing in it was smuggled. */
function assertSoundConnections(): void {
  for (const connection of underTest.backend.connections) {
    const { messages, rest, violation } = connection.read();
    assert.equal(
      violation,
      undefined,
      `the app server was sent ${JSON.stringify(connection.bytes.toString('latin1'))}`,
    );
    assert.ok(
      rest === '' || connection.closed,
      'an unfinished request was left on a connection that is still open',
    );
    assert.deepEqual(
      messages.filter(({ target }) => target === SMUGGLED),
      [],
      'a smuggled request arrived',
    );
  }
}

function assertJudgement(
  hostile: HostileRequest,
  answers: readonly StrictResponse[],
  seen: readonly StrictRequest[],
): void {
  const statuses = answers.map(({ status }) => status);
  const refused =
    statuses.length === 1 && (hostile.refused ?? []).includes(statuses[0] ?? 0) && seen.length === 0;
  if (refused) return;
  const { forwarded, thenRefused = [] } = hostile;
  if (forwarded && statuses.length > forwarded.length && thenRefused.includes(statuses.at(-1) ?? 0))
    statuses.pop();
  if (!forwarded) {
    assert.fail(
      `expected ${hostile.refused?.join(' or ')}, got ${statuses.join(', ') || 'no answer'}; ${describeSeen(seen)}`,
    );
  }
  assert.deepEqual(
    [statuses, seen.length],
    [forwarded.map(() => 200), forwarded.length],
    `${hostile.refused ? `neither refused with ${hostile.refused.join(' or ')} nor ` : 'not '}forwarded as it should be`,
  );
  for (const [index, expected] of forwarded.entries()) assertForwarded(seen[index], expected);
}

/** Whatever the gateway refuses, the log says at its default level, by a code that has that very status. */
function assertLogged(answers: readonly StrictResponse[], since: number): void {
  const statuses = underTest.log.lines
    .slice(since)
    .filter(({ level }) => Number(level) >= INFO)
    .map(({ code }) => ERROR_KINDS[code as ErrorCode]?.status);
  for (const { status } of answers) {
    if (status >= 400) assert.ok(statuses.includes(status as never), `no log line for the ${status}`);
  }
}

function assertForwarded(request: StrictRequest | undefined, expected: Forwarded): void {
  assert.ok(request);
  if (expected.method !== undefined) assert.equal(request.method, expected.method);
  if (expected.target !== undefined) assert.equal(request.target, expected.target);
  if (expected.body !== undefined) assert.equal(request.body, expected.body);
  for (const [name, written] of Object.entries(expected.headers ?? {})) {
    // The corpus is written for a gateway without TLS.
    const value = name === 'x-forwarded-proto' ? scheme : written;
    const values = valuesOf(request.headers, name);
    const arrived = values.length === 0 ? null : values.join(', ');
    if (value instanceof RegExp) assert.match(String(arrived), value, `header ${name}`);
    else assert.equal(arrived, value, `header ${name}`);
  }
}

/** Another client is served as if nothing had been, by whatever backend connections the hostile one left behind. */
async function assertStillServing(): Promise<void> {
  const client = await connect();
  client.send(sentinelRequest);
  await client.until(() => client.closed);
  assert.deepEqual(
    client.responses().messages.map(({ status, body }) => [status, body]),
    [[200, 'ok']],
    'the next client did not get its own answer',
  );
  assertSoundConnections();
}

function describeSeen(seen: readonly StrictRequest[]): string {
  return `the app server saw ${seen.map(({ method, target, body }) => `${method} ${target} (body of ${body.length})`).join(', ') || 'nothing'}`;
}
