import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { StickshiftError } from '../../protocol/errors.ts';
import { type CheckedHead, checkRequest } from './request-check.ts';

interface Head {
  method?: string;
  url?: string;
  httpVersion?: string;
  /** Names and values in turn. */
  raw?: string[];
}

function check({
  method = 'GET',
  url = '/',
  httpVersion = '1.1',
  raw = ['Host', 'shop.test'],
}: Head): CheckedHead {
  const headers: Record<string, string> = {};
  // As Node does it: of these two the first counts, others are joined.
  for (let index = 0; index < raw.length; index += 2) {
    const name = (raw[index] as string).toLowerCase();
    const value = raw[index + 1] as string;
    if (headers[name] === undefined) headers[name] = value;
    else if (name !== 'host' && name !== 'content-length') headers[name] += `, ${value}`;
  }
  return checkRequest({ method, url, httpVersion, headers, rawHeaders: raw });
}

function refuses(head: Head, code = 'BAD_REQUEST'): void {
  assert.throws(() => check(head), { name: 'StickshiftError', code }, JSON.stringify(head));
}

const HOST = ['Host', 'shop.test'];

describe('a request head', () => {
  test('that is in order passes as it is', () => {
    const head = check({ method: 'POST', url: '/cart;v=1?a=b&c=%20', raw: [...HOST, 'Content-Length', '5'] });
    assert.deepEqual(head, {
      method: 'POST',
      target: '/cart;v=1?a=b&c=%20',
      headers: { host: 'shop.test', 'content-length': '5' },
    });
    assert.equal(check({ raw: [...HOST, 'Transfer-Encoding', 'chunked'] }).target, '/');
    assert.equal(check({ raw: [...HOST, 'Transfer-Encoding', 'Chunked'] }).target, '/');
  });

  test('of another HTTP version is refused', () => {
    for (const httpVersion of ['0.9', '1.2', '2.0', '']) refuses({ httpVersion });
  });

  test('with CONNECT or TRACE is refused', () => {
    refuses({ method: 'CONNECT', url: 'shop.test:443' }, 'METHOD_REFUSED');
    refuses({ method: 'TRACE' }, 'METHOD_REFUSED');
  });
});

describe('the Host', () => {
  test('may be a name, an address, an IPv6 literal, with a port', () => {
    for (const host of [
      'shop',
      'Shop_1.test:8080',
      '192.0.2.1',
      '[2001:db8::1]',
      '[::1]:8080',
      'xn--caf-dma.test',
    ]) {
      assert.equal(check({ raw: ['Host', host] }).headers.host, host);
    }
  });

  test('is refused when it is no host', () => {
    const bad = [
      '',
      ' ',
      'a b',
      'a/b',
      'user@a',
      'a,b',
      'a:b',
      'a:',
      '[::1',
      '::1',
      'a\u00e9',
      'a%2e',
      `${'a'.repeat(300)}`,
    ];
    for (const host of bad) refuses({ raw: ['Host', host] });
  });

  test('is refused when given twice, even alike', () => {
    refuses({ raw: [...HOST, 'host', 'shop.test'] });
    refuses({ raw: [...HOST, 'HOST', 'other.test'] });
  });

  test('may be missing in HTTP/1.0 only', () => {
    refuses({ raw: [] });
    assert.equal(check({ httpVersion: '1.0', raw: [] }).target, '/');
  });
});

describe('the framing of a body', () => {
  test('is refused when it is told in two ways', () => {
    refuses({ raw: [...HOST, 'Content-Length', '5', 'Transfer-Encoding', 'chunked'] });
    refuses({ raw: [...HOST, 'Content-Length', '5', 'Content-Length', '6'] });
    refuses({ raw: [...HOST, 'Content-Length', '5', 'content-length', '5'] });
    refuses({ raw: [...HOST, 'Transfer-Encoding', 'chunked', 'transfer-encoding', 'chunked'] });
  });

  test('is refused when its length is no plain number', () => {
    for (const length of ['', '+5', '-1', '5,5', '0x5', '5 ', '1e3', '9'.repeat(16)]) {
      refuses({ raw: [...HOST, 'Content-Length', length] });
    }
  });

  test('is refused when its encoding is anything but chunked', () => {
    for (const encoding of [
      'gzip, chunked',
      'identity',
      'chunked, identity',
      'xchunked',
      '\u000bchunked',
      'chunked;a=b',
      '',
    ]) {
      refuses({ raw: [...HOST, 'Transfer-Encoding', encoding] });
    }
  });

  test('is refused when HTTP/1.0 speaks of chunks', () => {
    refuses({ httpVersion: '1.0', raw: [...HOST, 'Transfer-Encoding', 'chunked'] });
  });
});

describe('the Connection header', () => {
  const withConnection = (value: string) => ({ raw: [...HOST, 'Connection', value] });

  test('may say what connections say', () => {
    for (const value of [
      'keep-alive',
      'close',
      'Upgrade',
      'Keep-Alive, TE',
      'upgrade, HTTP2-Settings',
      'X-Mine',
      '',
    ]) {
      assert.equal(check(withConnection(value)).target, '/', value);
    }
  });

  test('is refused when it would strip what routing, framing or the application depends on', () => {
    const names = [
      'Cookie',
      'HOST',
      'Authorization',
      'Content-Length',
      'X-Forwarded-For',
      'x-forwarded-proto',
      'X-Real-IP',
    ];
    for (const name of names) {
      refuses(withConnection(name));
      refuses(withConnection(`close , ${name},`));
    }
  });
});

describe('the target', () => {
  test('is refused when it is not in origin form', () => {
    for (const url of ['', 'cart', 'shop.test:80', '?a', '//', 'ftp://shop.test/'].filter(
      (url) => url !== '//',
    )) {
      refuses({ url });
    }
  });

  test('is refused with blanks, control characters, a fragment or anything beyond ASCII', () => {
    for (const character of [' ', '\t', '\0', '\r', '\n', '\x7f', '#', '\x85', '\xa0', '\u00e9', '\u2028']) {
      refuses({ url: `/a${character}b` });
      refuses({ url: `http://shop.test/a${character}b` });
    }
  });

  test('may be * for OPTIONS only', () => {
    assert.equal(check({ method: 'OPTIONS', url: '*' }).target, '*');
    refuses({ url: '*' });
  });

  test('in absolute form comes out in origin form, when it names the same host', () => {
    const target = (url: string, method = 'GET') => check({ url, method }).target;
    assert.equal(target('http://shop.test/cart?a=b'), '/cart?a=b');
    assert.equal(target('HTTPS://Shop.Test/cart'), '/cart');
    assert.equal(target('http://shop.test'), '/');
    assert.equal(target('http://shop.test?a'), '/?a');
    assert.equal(target('http://shop.test', 'OPTIONS'), '*');
    assert.equal(target('http://shop.test/http://other.test/'), '/http://other.test/');
  });

  test('in absolute form is refused when it names another host, or a user', () => {
    refuses({ url: 'http://other.test/' });
    refuses({ url: 'http://shop.test:81/' });
    refuses({ url: 'http://user@shop.test/' });
    refuses({ url: 'http:///cart' });
    refuses({ url: 'http://shop.test/', httpVersion: '1.0', raw: [] });
  });

  test('is visible ASCII in origin form or refused, whatever is sent', () => {
    const url = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: 'binary' }).map((text) => `/${text}`),
      fc.webUrl().map((text) => text.replace(/^(https?:\/\/)[^/]+/, '$1shop.test')),
    );
    fc.assert(
      fc.property(url, (text) => {
        try {
          assert.match(check({ url: text }).target, /^\/[\x21\x22\x24-\x7e]*$/);
        } catch (error) {
          assert.ok(error instanceof StickshiftError, String(error));
        }
      }),
      { numRuns: 500 },
    );
  });
});

test('what a refusal says for the log has no line breaks and is short', () => {
  try {
    check({ url: `/${'\n'.repeat(10_000)}` });
    assert.fail('not refused');
  } catch (error) {
    assert.ok(error instanceof StickshiftError);
    assert.ok(!error.message.includes('\n') && error.message.length < 300, error.message);
  }
});
