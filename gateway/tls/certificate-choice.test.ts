import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CertificateChoice } from './certificate-choice.ts';

const choice = new CertificateChoice([
  { id: 1, names: ['shop.example', '*.shop.example'] },
  { id: 2, names: ['shop.example', 'pay.shop.example'] },
  { id: 3, names: ['*.co'] },
]);
const chosen = (host: string) => choice.for(host)?.id;

test('a certificate is chosen by its names, in any case', () => {
  assert.equal(chosen('pay.shop.example'), 2);
  assert.equal(chosen('PAY.Shop.example'), 2);
});

test('a wildcard stands for one label, and gives way to the name itself', () => {
  assert.equal(chosen('www.shop.example'), 1);
  assert.equal(chosen('pay.shop.example'), 2);
  assert.equal(chosen('a.www.shop.example'), undefined);
  assert.equal(chosen('.shop.example'), undefined);
  assert.equal(chosen('a.co'), 3);
  assert.equal(chosen('co'), undefined);
});

test('of two certificates for one name the first is chosen', () => {
  assert.equal(chosen('shop.example'), 1);
});

test('a name that no certificate is for gets none', () => {
  for (const host of ['other.example', '', '.', '*.shop', 'constructor', '__proto__']) {
    assert.equal(chosen(host), undefined, host);
  }
});
