import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { testPool } from '../testing/test-pool.ts';
import { holdRules } from './hold-rules.ts';

type PoolSettings = Parameters<typeof testPool>[1];

/** What the answer to a request waits for: `POST /cart`, and `sets` for an answer that sets the session. */
function decide(settings: PoolSettings, request: string, sets?: 'sets') {
  const rules = holdRules(testPool({ 'app-1': {} }, settings).config);
  const [method = '', target = ''] = request.split(' ');
  return rules({ method, target }, sets === 'sets');
}

describe('which answers wait for their commit', () => {
  for (const [hold, held, free] of [
    ['writes', ['POST /', 'DELETE /', 'PURGE /', 'post /'], ['GET /', 'HEAD /', 'OPTIONS /']],
    ['all', ['POST /', 'GET /', 'HEAD /'], []],
    ['never', [], ['POST /', 'GET /']],
  ] as const) {
    test(`with hold: ${hold}`, () => {
      for (const request of held) assert.ok(decide({ hold }, request), request);
      for (const request of free) assert.equal(decide({ hold }, request), undefined, request);
    });
  }

  test('those that set the session, whatever was asked', () => {
    assert.deepEqual(decide({}, 'GET /', 'sets'), {
      durability: { mode: 'ack', onStoreDown: 'serve' },
      unsafe: false,
    });
    assert.equal(decide({}, 'POST /', 'sets')?.unsafe, true);
    assert.equal(decide({ hold: 'never' }, 'GET /', 'sets'), undefined);
  });
});

describe('the durability that an agent is asked for', () => {
  test('is the pool’s', () => {
    const pool = { durability: 'async', onStoreDown: 'refuse' } as const;
    assert.deepEqual(decide(pool, 'POST /')?.durability, { mode: 'async', onStoreDown: 'refuse' });
  });

  test('with replicas never makes do with a journal', () => {
    const pool = { durability: 'replica', replicas: 2, onStoreDown: 'serve' } as const;
    assert.deepEqual(decide(pool, 'POST /')?.durability, {
      mode: 'replica',
      replicas: 2,
      onStoreDown: 'refuse',
    });
  });

  test('is that of the first route that fits, and the pool’s where the route says nothing', () => {
    const pool = {
      durability: 'async',
      replicas: 3,
      routes: [
        { paths: ['/checkout', '/pay'], methods: ['POST'], durability: 'replica' },
        { paths: ['/checkout'], onStoreDown: 'refuse' },
        { paths: ['/ping'], hold: 'never' },
        { paths: ['/'], durability: 'ack' },
      ],
    } as const satisfies PoolSettings;
    const mode = (request: string) => decide(structuredClone(pool) as PoolSettings, request)?.durability;
    assert.deepEqual(mode('POST /pay/now'), { mode: 'replica', replicas: 3, onStoreDown: 'refuse' });
    assert.deepEqual(mode('PUT /checkout?x=1'), { mode: 'async', onStoreDown: 'refuse' });
    assert.equal(mode('POST /ping'), undefined);
    assert.deepEqual(mode('POST /pingpong'), { mode: 'ack', onStoreDown: 'serve' });
    assert.deepEqual(mode('PUT /pay'), { mode: 'ack', onStoreDown: 'serve' }, 'another method');
  });
});
