import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { eventually } from '../services/eventually.ts';
import { SmallInstallation } from '../services/small-installation.ts';

const OLD = 'the old key, long enough to be one';
const NEW = 'the new key, long enough to be one';

describe('a new key for affinity cookies', () => {
  test('is introduced without a client noticing, and replaces the cookies of the old one', async () => {
    await using installation = await SmallInstallation.start({ gateway: { affinity: { keys: [OLD] } } });
    const visitor = installation.visitor();
    const { server } = await visitor.post('/cart/tea');
    const oldCookie = visitor.cookies.get('stickshift');

    // First every gateway learns to read it, then to write it, then to forget the old one.
    const reads = await installation.startGateway({ affinity: { keys: [OLD, NEW] } });
    const writes = await installation.startGateway({ affinity: { keys: [NEW, OLD] } });
    const forgot = await installation.startGateway({ affinity: { keys: [NEW] } });

    const atReader = visitor.at(reads);
    assert.equal((await atReader.get('/cart')).server, server);
    const atWriter = atReader.at(writes);
    assert.equal((await atWriter.get('/cart')).server, server);
    const newCookie = atWriter.cookies.get('stickshift');
    assert.notEqual(newCookie, oldCookie);

    const atReaderAgain = atWriter.at(reads);
    assert.equal((await atReaderAgain.get('/cart')).server, server);
    const atTheEnd = atWriter.at(forgot);
    assert.deepEqual((await atTheEnd.get('/cart')).body, ['tea']);
    assert.deepEqual(installation.gatewayLog.matching(/affinity cookie refused/), []);
  });

  test('that comes at once costs a lookup, and no session', async () => {
    await using installation = await SmallInstallation.start({ gateway: { affinity: { keys: [OLD] } } });
    const visitor = installation.visitor();
    const { server } = await visitor.post('/cart/tea');
    const abrupt = await installation.startGateway({ affinity: { keys: [NEW] } });
    const visit = await visitor.at(abrupt).get('/cart');
    assert.deepEqual([visit.status, visit.server, visit.body], [200, server, ['tea']]);
    assert.deepEqual(
      installation.gatewayLog.matching(/affinity cookie refused/).map(({ reason }) => reason),
      ['foreign'],
    );
  });
});

describe('a new key that seals snapshots', () => {
  test('is introduced server by server; sessions of either key move to either server', async () => {
    await using installation = await SmallInstallation.start({ encryptionKeys: [OLD] });
    const visitor = installation.visitor();
    const { server: first = '' } = await visitor.post('/cart/tea');

    const moveFrom = async (id: string) => {
      const server = installation.server(id);
      await server.stop();
      await installation.sees(id, false);
      return server;
    };

    // The other server learns the new key first, and seals with it.
    const second = installation.other(first).id;
    const other = await moveFrom(second);
    await other.start({ encryptionKeys: [NEW, OLD] });
    await installation.sees(second, true);

    const old = await moveFrom(first);
    assert.deepEqual((await visitor.post('/cart/cake')).body, ['tea', 'cake'], 'opened with the old key');
    await old.start({ encryptionKeys: [NEW] });
    await installation.sees(first, true);

    await moveFrom(second);
    const visit = await eventually('it has moved', async () => {
      const answer = await visitor.get('/cart');
      return answer.status === 200 && answer;
    });
    assert.deepEqual([visit.server, visit.body], [first, ['tea', 'cake']], 'sealed anew with the new key');
    assert.deepEqual((await visitor.post('/cart/milk')).body, ['tea', 'cake', 'milk']);
  });
});
