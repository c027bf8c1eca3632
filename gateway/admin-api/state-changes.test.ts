import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, test } from 'node:test';
import { StickshiftError } from '../../protocol/errors.ts';
import { eventually } from '../testing/eventually.ts';
import type { RawRequest } from '../testing/raw-request.ts';
import type { ApiErrorBody, StateAnswer } from './admin-api-types.ts';
import { adminApiScene, errorOf } from './testing/admin-api-scene.ts';

describe('POST /v1/backends/:id/state', () => {
  test('begins a drain with the deadline asked for, and answers 202 with its progress', async (t) => {
    const { post, ask, backend, drains, log } = await adminApiScene(t);
    const answer = await post('/v1/backends/app-1/state', { state: 'drain', deadlineMs: 5_000 });
    assert.equal(answer.status, 202);
    const { drain, adminState } = answer.json as StateAnswer;
    assert.equal(adminState, 'drain');
    assert.equal(drain?.reason, 'drain');
    assert.equal(drain && drain.deadlineAt - drain.startedAt, 5_000);
    assert.equal(backend.adminState, 'drain');
    await eventually(() => drains.progress(backend)?.state === 'complete', 'the drain is complete');
    const shown = (await ask('/v1/backends/app-1/drain')).json as StateAnswer;
    assert.equal(shown.drain?.state, 'complete');
    assert.equal(log.matching(/operator set the state/).length, 1);
  });

  test('takes the configured deadline when none is named', async (t) => {
    const { post } = await adminApiScene(t);
    const { drain } = (await post('/v1/backends/app-1/state', { state: 'drain' })).json as StateAnswer;
    assert.equal(drain && drain.deadlineAt - drain.startedAt, 60_000);
  });

  test('gives maintenance no time', async (t) => {
    const { post } = await adminApiScene(t);
    const body = { state: 'maintenance', deadlineMs: 5_000 };
    const { drain } = (await post('/v1/backends/app-1/state', body)).json as StateAnswer;
    assert.equal(drain?.reason, 'maintenance');
    assert.equal(drain && drain.deadlineAt - drain.startedAt, 0);
  });

  for (const [code, certainty] of [
    ['STORE_UNREACHABLE', /was not changed/],
    ['STORE_TIMEOUT', /may or may not have been changed/],
  ] as const) {
    test(`changes nothing while the store, by which the gateways share it, is ${code}`, async (t) => {
      const { post, backend, stateStore } = await adminApiScene(t);
      stateStore.failure = new StickshiftError(code, 'no answer from redis:6379');
      const answer = await post('/v1/backends/app-1/state', { state: 'drain' });
      assert.equal(answer.status, 503);
      const { error } = answer.json as ApiErrorBody;
      assert.equal(error.code, code);
      assert.match(error.message, certainty);
      assert.equal(backend.adminState, 'ready');
    });
  }

  test('ends a drain by ready, and has older bindings checked', async (t) => {
    const { post, backend } = await adminApiScene(t);
    await post('/v1/backends/app-1/state', { state: 'drain' });
    const before = Date.now();
    const answer = await post('/v1/backends/app-1/state', { state: 'ready' });
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.json, { backend: 'app-1', pool: 'shop', adminState: 'ready' });
    assert.ok(backend.upSince >= before);
  });

  for (const [what, body] of [
    ['a state that nobody knows', { state: 'off' }],
    ['a negative deadline', { state: 'drain', deadlineMs: -1 }],
    ['a deadline that is no number', { state: 'drain', deadlineMs: '60s' }],
    ['an unknown key', { state: 'drain', deadline: 5 }],
    ['a list', []],
  ] as const) {
    test(`refuses ${what} and changes nothing`, async (t) => {
      const { post, backend } = await adminApiScene(t);
      const answer = await post('/v1/backends/app-1/state', body);
      assert.equal(answer.status, 400);
      assert.equal(errorOf(answer).code, 'BAD_REQUEST');
      assert.equal(backend.adminState, 'ready');
    });
  }

  for (const [what, request] of [
    ['text that is no JSON', { body: '{"state"', headers: { 'content-type': 'application/json' } }],
    ['another content type', { body: '{"state":"drain"}', headers: { 'content-type': 'text/plain' } }],
    ['no content type', { body: '{"state":"drain"}' }],
    ['a body that is too long', { body: { state: 'drain', pool: 'x'.repeat(20_000) } }],
  ] as [string, RawRequest][]) {
    test(`refuses ${what}`, async (t) => {
      const { ask, backend } = await adminApiScene(t);
      const answer = await ask('/v1/backends/app-1/state', { method: 'POST', ...request });
      assert.equal(answer.status, 400);
      assert.equal(backend.adminState, 'ready');
    });
  }

  test('is 408 when the body does not arrive', async (t) => {
    const { port, log } = await adminApiScene(t);
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const socket = connect(port, '127.0.0.1');
    t.after(() => socket.destroy());
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    const head = [
      'POST /v1/backends/app-1/state HTTP/1.1',
      'Host: localhost',
      'Content-Type: application/json',
    ];
    socket.write(`${head.join('\r\n')}\r\nContent-Length: 100\r\n\r\n{"state"`);
    while (answer === '') {
      t.mock.timers.tick(1_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.match(answer, /^HTTP\/1\.1 408 /);
    assert.match(answer, /connection: close/i);
    assert.equal(log.lines.at(-1)?.code, 'REQUEST_TIMEOUT');
  });
});
