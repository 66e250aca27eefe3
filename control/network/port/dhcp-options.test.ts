import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCloudError } from '../../../contract/errors.ts';
import { changedOptions, ovnOptions } from './dhcp-options.ts';

const option = (opt_name: string, opt_value: string, ip_version: 4 | 6 = 4) => ({ opt_name, opt_value, ip_version });
const refusedFor = (reason: string) => (error: unknown) => isCloudError(error) && error.reason === reason;

test('options are told to OVN by its names, whether named or numbered, in its own writing', () => {
  const options = [
    option('bootfile-name', 'pxe linux.0'),
    option('66', 'tftp.example.org'),
    option('server-ip-address', '192.0.2.4'),
    option('ntp-server', '192.0.2.1,192.0.2.2'),
    option('classless-static-route', '{198.51.100.0/24, 192.0.2.9}'),
    option('router', ''),
    option('mtu', '01400'),
    option('ip-forward-enable', 'True'),
    option('dns-server', '2001:DB8::1', 6),
  ];
  assert.deepEqual(changedOptions([], options), options);
  assert.deepEqual(ovnOptions(options, 4), {
    bootfile_name: '"pxe linux.0"',
    tftp_server: '"tftp.example.org"',
    next_server: '192.0.2.4',
    ntp_server: '{192.0.2.1, 192.0.2.2}',
    classless_static_route: '{198.51.100.0/24, 192.0.2.9}',
    router: null,
    mtu: '1400',
    ip_forward_enable: '1',
  });
  assert.deepEqual(ovnOptions(options, 6), { dns_server: '{2001:db8::1}' });
});

test('what is no value of its type is refused, and nothing else of it reaches a flow', () => {
  const wrong = [
    option('bootfile-name', 'a"b'),
    option('domain-name', 'a\\b'),
    option('wpad', 'ä'),
    option('router', '192.0.2.1); x('),
    option('router', '2001:db8::1'),
    option('mtu', '65536'),
    option('mtu', '1e3'),
    option('default-ttl', '256'),
    option('classless-static-route', '198.51.100.0/24'),
    option('ntp-server', '192.0.2.1,,192.0.2.2'),
    option('ip-forward-enable', 'perhaps'),
    option('ip-forward-enable', 'constructor'),
    option('router-discovery', '__proto__'),
  ];
  for (const each of wrong) {
    assert.throws(() => changedOptions([], [each]), refusedFor('dhcp_option_malformed'), JSON.stringify(each));
    assert.deepEqual(ovnOptions([each], each.ip_version), {});
  }
  assert.throws(() => changedOptions([], [option('no-such', '1')]), refusedFor('dhcp_option_unknown'));
  assert.throws(() => changedOptions([], [option('mtu', '1400', 6)]), refusedFor('dhcp_option_unknown'));
});

test('the address of a server by IPv6, which a lease of DHCPv4 has no place for, is kept and not sent', () => {
  const kept = [option('server-ip-address', '2015::badd'), option('tftp-server', '2015::dead')];
  assert.deepEqual(changedOptions([], kept), kept);
  assert.deepEqual(ovnOptions(kept, 4), { tftp_server: '"2015::dead"' });
  assert.deepEqual(ovnOptions(kept, 6), {});
  assert.throws(() => changedOptions([], [option('server-ip-address', 'x::y')]), refusedFor('dhcp_option_malformed'));
});

test('a change leaves options that it does not name, and takes away those without a value', () => {
  const present = [option('mtu', '1400'), option('tftp-server', 'a'), option('domain-name', 'x')];
  const wish = [{ ...option('mtu', ''), opt_value: null }, option('tftp-server', 'b')];
  assert.deepEqual(changedOptions(present, wish), [option('domain-name', 'x'), option('tftp-server', 'b')]);
  assert.throws(() => changedOptions([], [option('mtu', '1'), option('mtu', '2')]), refusedFor('dhcp_option_twice'));
});
