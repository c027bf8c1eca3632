import assert from 'node:assert/strict';
import type { IncomingHttpHeaders } from 'node:http';
import { test } from 'node:test';
import { SessionReference } from '../sessions/session-reference.ts';
import { testPool } from '../testing/test-pool.ts';
import { hideEndedSession } from './ended-session.ts';
import type { Route } from './router.ts';

/** The pool's session cookie is `sid`. */
function routeOf(id: string): Route {
  const pool = testPool({ 'app-1': {} });
  return { routing: { pool }, session: new SessionReference(pool, id) } as Route;
}

function hide(forwarded: IncomingHttpHeaders) {
  const route = hideEndedSession(routeOf('dead'), forwarded);
  return { forwarded, hasSession: route.session !== undefined };
}

test('the app sees the other cookies of a client whose session has ended', () => {
  assert.deepEqual(hide({ cookie: 'a=1; sid=dead; b=2', accept: '*/*' }), {
    forwarded: { cookie: 'a=1; b=2', accept: '*/*' },
    hasSession: false,
  });
});

test('no empty Cookie header is left behind', () => {
  assert.deepEqual(hide({ cookie: 'sid=dead; sid=dead' }), { forwarded: {}, hasSession: false });
});

test('an ID that came in another place stays, and is the request’s session', () => {
  assert.deepEqual(hide({ cookie: 'a=1', 'x-session': 'dead' }), {
    forwarded: { cookie: 'a=1', 'x-session': 'dead' },
    hasSession: true,
  });
  assert.deepEqual(hide({}), { forwarded: {}, hasSession: true });
});
