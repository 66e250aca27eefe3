import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  canonicalIp,
  cidrsOverlap,
  eui64,
  formatCidr,
  formatIp,
  isHostAddress,
  parseCidr,
  parseIp,
  parseMac,
  randomMac,
} from './address.ts';

test('addresses have one canonical text, as RFC 5952 writes it', () => {
  const texts: [string, string | undefined][] = [
    ['10.0.0.1', '10.0.0.1'],
    ['255.255.255.255', '255.255.255.255'],
    ['0.0.0.0', '0.0.0.0'],
    ['2001:DB8::0:1', '2001:db8::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['fe80::1.2.3.4', 'fe80::102:304'],
    ['::ffff:10.0.0.1', '::ffff:10.0.0.1'],
    ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ];
  for (const [text, canonical] of texts) assert.equal(canonicalIp(text), canonical, text);
});

test('what inet_pton refuses is refused', () => {
  for (const text of [
    '',
    '10.0.0',
    '10.0.0.256',
    '010.0.0.1',
    '10.0.0.1 ',
    '1',
    '0x0a.0.0.1',
    'fe80::1%eth0',
    ':::',
    '1::2::3',
    '10.0.0.1/24',
    '１０.0.0.1',
    '小屋 🏔 "x"; drop',
  ]) {
    assert.equal(parseIp(text), undefined, text);
  }
});

test('a network drops host bits, knows its form and refuses impossible prefixes', () => {
  assert.equal(formatCidr(parseCidr('10.1.2.3/8')!), '10.0.0.0/8');
  assert.equal(formatCidr(parseCidr('10.1.2.3')!), '10.1.2.3/32');
  assert.equal(formatCidr(parseCidr('2001:db8::5/64')!), '2001:db8::/64');
  assert.equal(formatCidr(parseCidr('0.0.0.0/0')!), '0.0.0.0/0');
  for (const text of ['10.0.0.0/33', '::/129', '10.0.0.0/', '10.0.0.0/08', '10.0.0.0/-1', '/8', '10.0.0.0/255.0.0.0']) {
    assert.equal(parseCidr(text), undefined, text);
  }
  assert.ok(cidrsOverlap(parseCidr('10.0.0.0/8')!, parseCidr('10.9.0.0/24')!));
  assert.ok(!cidrsOverlap(parseCidr('10.0.0.0/9')!, parseCidr('10.128.0.0/9')!));
  assert.ok(!cidrsOverlap(parseCidr('0.0.0.0/0')!, parseCidr('::/0')!));
});

test('network and broadcast addresses are no host addresses, but in the smallest networks all are', () => {
  const is = (cidr: string, ip: string) => isHostAddress(parseCidr(cidr)!, parseIp(ip)!);
  assert.deepEqual(
    ['10.0.0.0', '10.0.0.1', '10.0.0.254', '10.0.0.255', '10.0.1.1'].map((ip) => is('10.0.0.0/24', ip)),
    [false, true, true, false, false],
  );
  assert.ok(is('10.0.0.0/31', '10.0.0.0') && is('10.0.0.0/31', '10.0.0.1') && is('10.0.0.7/32', '10.0.0.7'));
  assert.ok(!is('2001:db8::/64', '2001:db8::') && is('2001:db8::/64', '2001:db8::ffff:ffff:ffff:ffff'));
});

test('EUI-64 addresses are those of RFC 4291', () => {
  const ip = eui64(parseCidr('2001:db8::/64')!, 'fa:16:3e:00:00:01');
  assert.equal(formatIp(6, ip.value), '2001:db8::f816:3eff:fe00:1');
});

test('MAC addresses: two forms are read, groups and nonsense refused, generated ones are well formed', () => {
  assert.equal(parseMac('FA-16-3E-00-00-0A'), 'fa:16:3e:00:00:0a');
  for (const text of [
    '00:00:00:00:00:00',
    'ff:ff:ff:ff:ff:ff',
    '01:00:5e:00:00:01',
    'fa:16:3e',
    'fa16.3e00.0001',
    'fa:16-3e:00:00:01',
  ]) {
    assert.equal(parseMac(text), undefined, text);
  }
  assert.match(randomMac(), /^fa:16:3e(:[0-9a-f]{2}){3}$/);
});
