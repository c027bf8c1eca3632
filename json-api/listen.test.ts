import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { listen } from './listen.ts';

function serverOf(t: TestContext): Server {
  const server = createServer();
  t.after(() => server.close());
  return server;
}

describe('listening', () => {
  test('says which port it has become', async (t) => {
    const server = serverOf(t);
    assert.match(await listen(server, '127.0.0.1:0', 'gateway.listen'), /^127\.0\.0\.1:[1-9]\d*$/);
  });

  test('where somebody listens already is refused, naming the setting', async (t) => {
    const taken = await listen(serverOf(t), '127.0.0.1:0', 'gateway.listen');
    await assert.rejects(listen(serverOf(t), taken, 'gateway.admin.listen'), {
      code: 'PORT_IN_USE',
      message: `${taken} is in use; set gateway.admin.listen to another address`,
    });
  });

  test('at an address that is not this machine’s is refused, naming the setting', async (t) => {
    // RFC 5737, for documentation: nobody has it.
    await assert.rejects(listen(serverOf(t), '192.0.2.1:8080', 'gateway.listen'), {
      code: 'CONFIG_INVALID',
      message: /at 192\.0\.2\.1:8080 .*EADDRNOTAVAIL.*; set gateway\.listen to another address/,
    });
  });

  test('at one port together is what two servers can do only if both want it', async (t) => {
    const shared = await listen(serverOf(t), '127.0.0.1:0', 'gateway.listen', { reusePort: true });
    assert.equal(await listen(serverOf(t), shared, 'gateway.listen', { reusePort: true }), shared);
    await assert.rejects(listen(serverOf(t), shared, 'gateway.listen'), { code: 'PORT_IN_USE' });
  });

  test('together, where the system cannot do that, says what to do instead', async (t) => {
    const server = serverOf(t);
    t.mock.method(server, 'listen', () => {
      server.emit('error', Object.assign(new Error('not supported'), { code: 'ENOTSUP' }));
      return server;
    });
    await assert.rejects(listen(server, '127.0.0.1:0', 'gateway.listen', { reusePort: true }), {
      code: 'CONFIG_INVALID',
      message: /set gateway\.workers to 1/,
    });
  });
});
