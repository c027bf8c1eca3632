import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backend } from '../backends/backend.ts';
import { InFlightSessions } from './in-flight-sessions.ts';

function backend(id: string): Backend {
  const url = new URL('http://127.0.0.1:1');
  return new Backend({ id, pool: 'shop', url, agentUrl: url, weight: 100 });
}

test('a session without requests is idle at once', async () => {
  await new InFlightSessions().idle('shop a', 60_000);
});

test('a session is idle when the last of its requests has left', async () => {
  const flights = new InFlightSessions();
  const first = flights.enter('shop a', 'a', backend('app-1'));
  const second = flights.enter('shop a', 'a', backend('app-1'));
  let idle = false;
  const waiting = flights.idle('shop a', 60_000).then(() => {
    idle = true;
  });
  first(false);
  first(false);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(idle, false, 'leaving twice must not count twice');
  second(false);
  await waiting;
});

test('waiting for a session that stays busy ends with its time', async () => {
  const flights = new InFlightSessions();
  flights.enter('shop a', 'a', backend('app-1'));
  await flights.idle('shop a', 1);
});

test('requests that were waited for in vain once are not waited for again', async () => {
  const flights = new InFlightSessions();
  flights.enter('shop a', 'a', backend('app-1'));
  await flights.idle('shop a', 1);
  await flights.idle('shop a', 60_000);
});

test('requests that come after such a wait are waited for', async () => {
  const flights = new InFlightSessions();
  flights.enter('shop a', 'a', backend('app-1'));
  await flights.idle('shop a', 1);
  flights.enter('shop a', 'a', backend('app-1'));
  let idle = false;
  const waiting = flights.idle('shop a', 10).then(() => {
    idle = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(idle, false);
  await waiting;
});

test('the busy sessions of a backend are listed by ID', () => {
  const flights = new InFlightSessions();
  const one = backend('app-1');
  const two = backend('app-2');
  flights.enter('shop a', 'a', one);
  flights.enter('shop b', 'b', two);
  const leave = flights.enter('shop c', 'c', one);
  assert.deepEqual([...flights.on(one)], ['a', 'c']);
  leave(false);
  assert.deepEqual([...flights.on(one)], ['a']);
});

test('a session whose request broke off is remembered, and one that has a request may come to that', () => {
  const flights = new InFlightSessions();
  const enter = (ref: string) => flights.enter(ref, 'any', backend('app-1'));
  const mayBreak = () => ['shop a', 'shop b', 'shop c'].map((ref) => flights.mayBreak(ref));
  const [a, b] = [enter('shop a'), enter('shop b')];
  assert.deepEqual(mayBreak(), [true, true, false]);
  a(false);
  b(true);
  assert.deepEqual(mayBreak(), [false, true, false]);
});

test('whoever waits for the end of a session’s requests waits also when others have given up', async () => {
  const flights = new InFlightSessions();
  await flights.ended('shop a');
  const leave = flights.enter('shop a', 'a', backend('app-1'));
  await flights.idle('shop a', 1);
  let hasEnded = false;
  const waiting = flights.ended('shop a').then(() => {
    hasEnded = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(hasEnded, false);
  leave(false);
  await waiting;
});
