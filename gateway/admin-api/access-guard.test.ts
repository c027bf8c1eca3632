import assert from 'node:assert/strict';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { describe, test } from 'node:test';
import { accessGuard } from './access-guard.ts';

const TOKEN = 'a-token-of-16-characters';

function isAdmitted(
  options: { token: string | undefined; loopback: boolean },
  headers: IncomingHttpHeaders,
): boolean {
  const admit = accessGuard(options);
  try {
    admit({ headers } as IncomingMessage);
    return true;
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'UNAUTHORIZED');
    return false;
  }
}

for (const loopback of [true, false]) {
  describe(`with a token, ${loopback ? 'on loopback' : 'on the network'}, the admin API`, () => {
    const cases: [string, IncomingHttpHeaders, boolean][] = [
      ['admits the token', { authorization: `Bearer ${TOKEN}` }, true],
      ['admits it whatever the case of the scheme', { authorization: `bearer ${TOKEN}` }, true],
      [
        'admits it from any web page, which cannot know it by itself',
        { authorization: `Bearer ${TOKEN}`, host: 'evil.example', origin: 'https://evil.example' },
        true,
      ],
      ['refuses a request without one', { host: 'localhost:8081' }, false],
      ['refuses another token', { authorization: 'Bearer wrong' }, false],
      ['refuses a longer token', { authorization: `Bearer ${TOKEN}x` }, false],
      ['refuses a beginning of the token', { authorization: `Bearer ${TOKEN.slice(0, -1)}` }, false],
      ['refuses an empty token', { authorization: 'Bearer ' }, false],
      ['refuses another scheme', { authorization: `Basic ${TOKEN}` }, false],
      ['refuses two tokens', { authorization: `Bearer ${TOKEN} ${TOKEN}` }, false],
    ];
    for (const [name, headers, admitted] of cases) {
      test(name, () => assert.equal(isAdmitted({ token: TOKEN, loopback }, headers), admitted));
    }
  });
}

describe('without a token, on loopback, the admin API', () => {
  const cases: [string, IncomingHttpHeaders, boolean][] = [
    ['admits 127.0.0.1', { host: '127.0.0.1:8081' }, true],
    ['admits another loopback address', { host: '127.0.0.9:8081' }, true],
    ['admits localhost', { host: 'LocalHost:8081' }, true],
    ['admits [::1]', { host: '[::1]:8081' }, true],
    ['admits a host without port', { host: 'localhost' }, true],
    ['admits a page of its own', { host: 'localhost:8081', origin: 'http://localhost:8081' }, true],
    ['admits an address typed into a browser', { host: 'localhost:8081', 'sec-fetch-site': 'none' }, true],
    ['refuses a name that resolves here (DNS rebinding)', { host: 'evil.example:8081' }, false],
    ['refuses a name that begins like loopback', { host: '127.0.0.1.evil.example' }, false],
    ['refuses a name that ends like loopback', { host: 'evil.localhost' }, false],
    ['refuses a request without Host', {}, false],
    ['refuses a page of another site', { host: 'localhost:8081', origin: 'https://evil.example' }, false],
    ['refuses a page of another port', { host: 'localhost:8081', origin: 'http://localhost:8080' }, false],
    ['refuses a page without an origin', { host: 'localhost:8081', origin: 'null' }, false],
    ['refuses what another page embeds', { host: 'localhost:8081', 'sec-fetch-site': 'cross-site' }, false],
    [
      'refuses what a page of another port embeds',
      { host: 'localhost', 'sec-fetch-site': 'same-site' },
      false,
    ],
  ];
  for (const [name, headers, admitted] of cases) {
    test(name, () => assert.equal(isAdmitted({ token: undefined, loopback: true }, headers), admitted));
  }
});

test('without a token the admin API cannot be opened to the network', () => {
  assert.throws(() => accessGuard({ token: undefined, loopback: false }), {
    code: 'CONFIG_INVALID',
    message: /gateway\.admin\.token/,
  });
});
