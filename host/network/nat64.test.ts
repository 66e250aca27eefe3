import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '../../contract/ids.ts';
import { taygaConfig } from './nat64.ts';
import { resolverConfig } from './resolver.ts';

test('an engine keeps its guests beside its configuration, and gives them addresses of the pool', () => {
  assert.deepEqual(taygaConfig('/run/bothy/nat64/r/guests').split('\n'), [
    'tun-device nat64',
    'ipv4-addr 100.127.0.1',
    'prefix fd64:ff9b:1::/96',
    'dynamic-pool 100.127.0.0/20',
    'data-dir /run/bothy/nat64/r/guests',
    '',
  ]);
});

test('a resolver synthesizes where it is told the prefix, and for its own names in their records', () => {
  const hosts = [
    { name: 'six.openstacklocal', ips: ['fd00::6'] },
    { name: 'both.example', ips: ['203.0.113.6', '2001:db8::6'] },
    { name: 'four.example', ips: ['203.0.113.7'] },
  ];
  const lines = (dns64?: string) =>
    resolverConfig({
      id: newId(),
      namespace: 'n',
      inode: 1,
      names: { domain: 'openstacklocal', hosts, ...(dns64 && { dns64 }) },
    })
      .split('\n')
      .filter((line) => / AAAA |module|dns64/.test(line))
      .map((line) => line.trim());
  const own = ['local-data: "both.example. 30 AAAA 2001:db8::6"', 'local-data: "six.openstacklocal. 30 AAAA fd00::6"'];
  assert.deepEqual(lines(), ['module-config: "iterator"', ...own]);
  assert.deepEqual(lines('fd64:ff9b:1::/96'), [
    'module-config: "dns64 iterator"',
    'dns64-prefix: fd64:ff9b:1::/96',
    own[0],
    'local-data: "four.example. 30 AAAA fd64:ff9b:1::203.0.113.7"',
    'local-data: "ipv4only.arpa. 30 AAAA fd64:ff9b:1::192.0.0.170"',
    'local-data: "ipv4only.arpa. 30 AAAA fd64:ff9b:1::192.0.0.171"',
    own[1],
  ]);
});
