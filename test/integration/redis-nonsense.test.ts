import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, test } from 'node:test';
import type { StickshiftError } from '../../protocol/errors.ts';
import { newKey } from '../contract/snapshot-store/sample-records.ts';
import { eventually } from '../services/eventually.ts';
import { startRedisImpostor } from '../services/redis-impostor.ts';
import { cleanups, failure, open, SHORT } from '../services/redis-store-under-test.ts';

describe('a server that answers nonsense', () => {
  const nonsense: Record<string, string> = {
    'no Redis protocol': 'HTTP/1.1 400 Bad Request\r\n\r\n',
    'a number': ':42\r\n',
    nothing: '$-1\r\n',
    'an empty list': '*0\r\n',
    'an unknown outcome': '*1\r\n$5\r\nmaybe\r\n',
    'an outcome of another operation': '*1\r\n$9\r\ncommitted\r\n',
    'an inherited property as the outcome': '*1\r\n$8\r\ntoString\r\n',
    'a record that ends early': '*3\r\n$5\r\nfound\r\n$6\r\nactive\r\n$5\r\napp-1\r\n',
    'a list that is too long for the bytes': '*100000\r\n$1\r\n',
  };
  for (const [what, answer] of Object.entries(nonsense)) {
    test(`such as ${what} causes a typed error and no harm`, async () => {
      const impostor = await startRedisImpostor(answer);
      cleanups.push(impostor.stop);
      const neverEnds = what.startsWith('a list that is too long');
      const store = await open(impostor.url, neverEnds ? SHORT : {});
      const { code } = await failure(store.lookup(newKey()));
      // An answer that never ends is one that never came.
      assert.equal(code, neverEnds ? 'STORE_TIMEOUT' : 'STORE_INVALID');

      impostor.answer = '*1\r\n$6\r\nabsent\r\n';
      await eventually('the store works again', async () => {
        const found = await store.lookup(newKey()).catch((error: StickshiftError) => error.code);
        return found === undefined;
      });
    });
  }

  test('from the first byte is not connected to', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => socket.destroy());
      socket.end('SSH-2.0-OpenSSH_9.2p1\r\n');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanups.push(async () => {
      server.close();
    });
    const address = server.address();
    assert.ok(address !== null && typeof address === 'object');
    const store = await open(`redis://127.0.0.1:${address.port}`, SHORT);
    assert.equal((await failure(store.lookup(newKey()))).code, 'STORE_UNREACHABLE');
  });
});
