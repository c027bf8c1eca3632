import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { RawClient } from '../services/raw-client.ts';
import { SmallSite } from '../services/small-site.ts';

test('event streams reach the client as they come and are not held back by a drain of others', async (t) => {
  const site = await SmallSite.start();
  t.after(() => site.stop());
  site.serve(() => (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: 1\n\n');
  });
  const answer = await fetch(site.url, { headers: { cookie: 'sid=abc' } });
  const reader = answer.body?.getReader();
  const { value } = (await reader?.read()) ?? {};
  assert.equal(Buffer.from(value ?? []).toString(), 'data: 1\n\n');
  await reader?.cancel();
});

test('a gateway that stops finishes what is under way, and takes nothing new', async () => {
  const site = await SmallSite.start();
  let finish: (() => void) | undefined;
  site.serve(() => (_request, response) => {
    finish = () => response.end('finished');
  });
  const client = await RawClient.connect(site.port);
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await site.apps[0].agent.url;
  while (!finish) await new Promise((resolve) => setTimeout(resolve, 5));
  const stopped = site.stop();
  await assert.rejects(once(connect({ port: site.port, host: '127.0.0.1' }), 'connect'));
  finish();
  await client.until(() => client.closed);
  const [answer] = client.responses().messages;
  assert.equal(answer?.body, 'finished');
  await stopped;
});

test('a gateway that stops ends idle connections, event streams and what exceeds its deadline', async () => {
  const site = await SmallSite.start({ gateway: { timeouts: { shutdown: '300ms' } } });
  site.serve(() => (request, response) => {
    if (request.url !== '/events') return;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: 1\n\n');
  });
  const [idle, events, stuck] = await Promise.all([0, 1, 2].map(() => RawClient.connect(site.port)));
  events?.send('GET /events HTTP/1.1\r\nHost: a\r\n\r\n');
  stuck?.send('GET /never HTTP/1.1\r\nHost: a\r\n\r\n');
  await events?.until(() => events.received.includes('data: 1'));
  await site.stop();
  for (const client of [idle, events, stuck]) await client?.until(() => client.closed);
});
