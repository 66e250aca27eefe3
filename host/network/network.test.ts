import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { exampleNetwork } from '../metadata/testing.ts';
import { forwardingBefore, guard, guardedDevices, machineFirewall, refuseForbidden, unguard } from './firewall.ts';
import { networkOf } from './machine-network.ts';
import { planAddresses, vethOf } from './metadata-namespace.ts';
import { neededAction, parseProcesses, proxyConfig } from './metadata-proxy.ts';
import { names } from './names.ts';

const ours = names('ab12');
const id = (tail: string) => `01900000-0000-7000-8000-${tail.padStart(12, '0')}`;

test('names fit into interface names and carry the tag', () => {
  const all = [
    ours.tap(id('a1')),
    ours.veth(id('a1')),
    ours.integrationBridge,
    ours.externalBridge,
    ours.underlayBridge,
  ];
  for (const name of all) {
    assert.ok(name.length <= 15, name);
    assert.ok(name.startsWith('ab12'), name);
  }
  assert.match(ours.tap(id('a1')), ours.tapPattern);
  assert.equal(vethOf('ab12', ours.namespace(id('a1'))), ours.veth(id('a1')));
  assert.throws(() => names('too-long'), /tag/);
});

test('the protection of a machine without a way out', () => {
  golden('firewall.nft', machineFirewall({ names: ours }));
});

test('the protection of a machine with a way out by NAT, which remembers what forwarding was', () => {
  const script = machineFirewall({
    names: ours,
    nat: {
      device: 'eth0',
      source: '172.24.4.0/24',
      protectedNetworks: ['10.0.0.0/8', 'fd00::/8'],
      forwardingBefore: '0',
    },
  });
  golden('firewall-nat.nft', script);
  assert.equal(forwardingBefore(script), '0');
  assert.equal(forwardingBefore(machineFirewall({ names: ours })), undefined);
});

test('a guard is made and removed whatever was there', () => {
  const both = ['ab12t000000001', 'ab12v000000002'];
  golden('guard.nft', guard(ours, both) + refuseForbidden(ours, both.slice(0, 1)) + unguard(ours, both[0]!));
  assert.deepEqual(
    [...guardedDevices(guard(ours, ['ab12t000000001', 'ab12v000000002']))],
    ['ab12t000000001', 'ab12v000000002'],
  );
});

test("HAProxy's configuration is the same for the same networks in any order", () => {
  const network = (tail: string, inode: number) => ({ id: id(tail), namespace: ours.namespace(id(tail)), inode });
  const ids = { uid: 99, gid: 98 };
  const input = {
    networks: [network('41', 7), network('42', 8)],
    backend: '/run/bothy/ab12/metadata/service.sock',
    script: '/opt/bothy/host/network/await-host.lua',
    ids,
  };
  golden('haproxy.cfg', proxyConfig(input));
  assert.equal(proxyConfig({ ...input, networks: [...input.networks].reverse() }), proxyConfig(input));
});

test('HAProxy is left alone, reloaded, or restarted when a namespace was made anew', () => {
  const config = (inodes: Record<string, number>) =>
    Object.entries(inodes)
      .map(([name, inode]) => `# ${name} inode ${inode}\n`)
      .join('');
  assert.equal(neededAction(config({ a: 1 }), config({ a: 1 })), 'none');
  assert.equal(neededAction(undefined, config({ a: 1 })), 'reload');
  assert.equal(neededAction(config({ a: 1 }), config({ a: 1, b: 2 })), 'reload');
  assert.equal(neededAction(config({ a: 1, b: 2 }), config({ a: 1 })), 'reload');
  assert.equal(neededAction(config({ a: 1, b: 2 }), config({ a: 3, b: 2 })), 'restart');
});

test("the master's answer tells reloads and present workers", () => {
  const answer = `#<PID>          <type>          <reloads>       <uptime>        <version>
11855           master          1 [failed: 0]   0d00h10m22s     2.6.12-1+deb12u4
# workers
17706           worker          0               0d00h00m00s     2.6.12-1+deb12u4
# old workers
11858           worker          1               0d00h10m22s     2.6.12-1+deb12u4
# programs

`;
  assert.deepEqual(parseProcesses(answer), { reloads: 1, current: 1 });
});

test('an endpoint gets the addresses that it lacks and loses the others', () => {
  const network = exampleNetwork();
  const all = planAddresses(new Set(), network);
  assert.deepEqual(all, [
    'addr add 10.1.0.2/24 dev eth0',
    'addr add 169.254.169.254/32 dev eth0',
    'addr add fe80::a9fe:a9fe/64 dev eth0 nodad',
  ]);
  const found = new Set(['10.1.0.9/24', '169.254.169.254/32', 'fe80::a9fe:a9fe/64']);
  assert.deepEqual(planAddresses(found, network), ['addr del 10.1.0.9/24 dev eth0', 'addr add 10.1.0.2/24 dev eth0']);
});

test('the network of an address', () => {
  assert.equal(networkOf('172.24.4.1/24'), '172.24.4.0/24');
  assert.equal(networkOf('10.255.255.254/9'), '10.128.0.0/9');
  assert.equal(networkOf('192.0.2.1/32'), '192.0.2.1/32');
});

/** Compares with a file of golden/; UPDATE_GOLDEN=1 writes it. */
function golden(name: string, actual: string): void {
  const file = join(import.meta.dirname, 'golden', name);
  if (process.env.UPDATE_GOLDEN) writeFileSync(file, actual);
  assert.equal(actual, readFileSync(file, 'utf8'));
}
