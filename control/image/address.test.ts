import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressList, mayReach } from './address.ts';
import { allowedUrl } from './web-source.ts';

const none = addressList([]);
const rules = {
  allowed: addressList(['10.1.0.0/16', 'fd00:1::/64', '127.0.0.2']),
  own: addressList(['198.100.7.7', '2a00::7']),
  ports: [8080],
};

test('only public addresses are reached, in whatever form they are written', () => {
  for (const address of [
    '93.184.216.34',
    '2606:2800:220:1::1',
    '::ffff:93.184.216.34',
    '10.1.2.3',
    '::ffff:10.1.2.3',
    'fd00:1::5',
  ]) {
    assert.ok(mayReach(address, rules), address);
  }
  for (const address of [
    ...['127.0.0.1', '0.0.0.0', '10.0.0.1', '172.16.0.1', '192.168.1.1', '169.254.169.254', '100.64.0.1', '224.0.0.1'],
    ...['255.255.255.255', '::', '::1', '::127.0.0.1', '::ffff:127.0.0.1', '::ffff:7f00:1', '::ffff:a9fe:a9fe'],
    ...['0:0:0:0:0:ffff:7f00:1', '::FFFF:127.0.0.1', '0::ffff:10.0.0.1'],
    ...[
      '64:ff9b::7f00:1',
      '64:ff9b:1::1',
      '2002:7f00:1::',
      '2001::1',
      'fe80::1',
      'fe80::1%lo',
      'fc00::1',
      'fd00::1',
      'ff02::1',
    ],
    ...['198.100.7.7', '::ffff:198.100.7.7', '2a00::7', 'localhost', '', 'x'],
  ]) {
    assert.ok(!mayReach(address, rules), address);
  }
  assert.ok(!mayReach('10.1.2.3', { allowed: none, own: none }));
});

test('a URL must be of the web, without secrets, at a usual port', () => {
  for (const uri of [
    'http://example.org/x',
    'https://example.org',
    'http://example.org:443/',
    'http://[2606:2800::1]:8080/',
    'http://127.0.0.2/',
  ]) {
    assert.equal(typeof allowedUrl(uri, rules), 'object', uri);
  }
  for (const uri of [
    ...['', 'x', 'file:///etc/passwd', 'ftp://example.org/', 'gopher://example.org/', 'http://user@example.org/'],
    ...[
      'http://:secret@example.org/',
      'http://example.org:22/',
      'http://example.org:8443/',
      'http://127.0.0.1/',
      'http://2130706433/',
    ],
    ...[
      'http://0x7f.1/',
      'http://017700000001/',
      'http://[::1]/',
      'http://[::ffff:127.0.0.1]/',
      'http://169.254.169.254/latest',
    ],
    ...[`http://example.org/${'x'.repeat(3000)}`],
  ]) {
    assert.equal(typeof allowedUrl(uri, rules), 'string', uri);
  }
});
