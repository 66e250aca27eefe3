import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { DesiredVolume } from '../../contract/host/index.ts';
import type { PortId, VolumeId } from '../../contract/ids.ts';
import { answer } from './answer.ts';
import { ec2MetaData, metadataFiles, openstackFiles } from './document.ts';
import { netmask, networkData } from './network-data.ts';
import { exampleServer } from './testing.ts';

const seed = Buffer.alloc(512);

test('a config drive carries both formats, with the bytes of the user data as given', () => {
  const server = exampleServer();
  const files = metadataFiles(server, { randomSeed: seed });
  assert.deepEqual([...files.keys()].sort(), [
    'ec2/latest/meta-data.json',
    'ec2/latest/user-data',
    'openstack/latest/meta_data.json',
    'openstack/latest/network_data.json',
    'openstack/latest/user_data',
    'openstack/latest/vendor_data.json',
    'openstack/latest/vendor_data2.json',
  ]);
  assert.deepEqual(files.get('openstack/latest/user_data'), Buffer.from([0x23, 0x21, 0x00, 0xff]));
});

test('a server without user data has no such file', () => {
  const files = metadataFiles({ ...exampleServer(), userData: null });
  assert.equal([...files.keys()].filter((path) => path.includes('user')).length, 0);
});

test('meta_data.json names the server as the user did, in any script', () => {
  const document = JSON.parse(
    String(openstackFiles(exampleServer(), 'latest', { randomSeed: seed }).get('meta_data.json')),
  );
  assert.equal(document.name, '小屋 🏔 "x"; drop');
  assert.equal(document.hostname, 'host-1');
  assert.deepEqual(document.meta, { role: 'web' });
  assert.deepEqual(document.keys, [{ name: 'my key', type: 'ssh', data: 'ssh-ed25519 AAAA me' }]);
  assert.deepEqual(document.public_keys, { 'my key': 'ssh-ed25519 AAAA me' });
  assert.equal(Buffer.from(document.random_seed, 'base64').length, 512);
  assert.deepEqual(document.devices, []);
});

test('a first password is on the config drive and not told by the metadata service', () => {
  const server = { ...exampleServer(), adminPassword: '密 🏔 "x"' };
  const onDrive = JSON.parse(String(metadataFiles(server).get('openstack/latest/meta_data.json')));
  assert.equal(onDrive.admin_pass, server.adminPassword);
  const told = JSON.parse(String(openstackFiles(server, 'latest').get('meta_data.json')));
  assert.equal('admin_pass' in told, false);
  const later = JSON.parse(String(metadataFiles(exampleServer()).get('openstack/latest/meta_data.json')));
  assert.equal('admin_pass' in later, false);
});

test('vendor data is the same by drive and service, in the form of each file', () => {
  const vendorData = { 'cloud-init': '#cloud-config\n{}', 小屋: [1] };
  const files = metadataFiles(exampleServer(), { vendorData });
  assert.deepEqual(JSON.parse(String(files.get('openstack/latest/vendor_data.json'))), vendorData);
  assert.deepEqual(JSON.parse(String(files.get('openstack/latest/vendor_data2.json'))), { static: vendorData });
  for (const name of ['vendor_data.json', 'vendor_data2.json']) {
    const told = answer(exampleServer(), `/openstack/latest/${name}`, { vendorData });
    assert.equal(told!.body, files.get(`openstack/latest/${name}`), name);
  }
  assert.equal(String(metadataFiles(exampleServer()).get('openstack/latest/vendor_data.json')), '{}');
});

test('what services say of a server is in the newer file only, by drive and service', () => {
  const options = { vendorData: { a: 1 }, services: { join: { token: 'x' } } };
  const files = metadataFiles(exampleServer(), options);
  const newer = { static: { a: 1 }, join: { token: 'x' } };
  assert.deepEqual(JSON.parse(String(files.get('openstack/latest/vendor_data2.json'))), newer);
  assert.deepEqual(JSON.parse(String(files.get('openstack/latest/vendor_data.json'))), { a: 1 });
  const told = answer(exampleServer(), '/openstack/2016-10-06/vendor_data2.json', options);
  assert.deepEqual(JSON.parse(String(told!.body)), newer);
});

test('user data that is no text arrives byte by byte, by drive and service', () => {
  const bytes = gzipSync('#!/bin/sh\n');
  const server = exampleServer({ userData: bytes.toString('base64') });
  const files = metadataFiles(server);
  assert.deepEqual(
    [
      files.get('openstack/latest/user_data'),
      files.get('ec2/latest/user-data'),
      answer(server, '/openstack/latest/user_data')!.body,
      answer(server, '/latest/user-data')!.body,
    ],
    [bytes, bytes, bytes, bytes],
  );
});

test('an old version lacks what appeared later', () => {
  const files = openstackFiles(exampleServer(), '2012-08-10');
  assert.deepEqual([...files.keys()], ['meta_data.json', 'user_data']);
  const document = JSON.parse(String(files.get('meta_data.json')));
  assert.equal('random_seed' in document, false);
  assert.equal('project_id' in document, false);
});

test('links of one server have names of their own, also where the ids of older ports begin alike', () => {
  const [port] = exampleServer().ports;
  const linksOf = (...ids: string[]) => {
    const ports = ids.map((id) => ({ ...port!, id: id as PortId }));
    const { links, networks } = networkData(ports);
    assert.deepEqual(
      [...new Set(networks.map(({ link }) => link))],
      links.map(({ id }) => id),
    );
    return links.map(({ id }) => id);
  };
  const [one, two] = ['01900000-0000-7000-8000-0000000000a1', '01900000-0000-7001-8000-0000000000a2'];
  assert.deepEqual(linksOf(one, two), [`tap${one}`, `tap${two}`]);
  assert.deepEqual(linksOf(one, '7d0e62f1-93aa-4c31-9d5e-0a1b2c3d4e5f'), ['tap01900000-00', 'tap7d0e62f1-93']);
});

test('network_data.json has a link per port and a network per way of addressing', () => {
  const data = networkData(exampleServer().ports);
  assert.deepEqual(data.links, [
    {
      id: 'tap01900000-00',
      vif_id: '01900000-0000-7000-8000-0000000000a1',
      type: 'ovs',
      mtu: 1442,
      ethernet_mac_address: 'fa:16:3e:00:00:01',
    },
  ]);
  assert.deepEqual(
    data.networks.map(({ type, ip_address, netmask }) => ({ type, ip_address, netmask })),
    [
      { type: 'ipv4_dhcp', ip_address: undefined, netmask: undefined },
      { type: 'ipv6_slaac', ip_address: 'fd00:1::f816:3eff:fe00:1', netmask: 'ffff:ffff:ffff:ffff::' },
    ],
  );
  assert.deepEqual(data.services, [
    { type: 'dns', address: '9.9.9.9' },
    { type: 'dns', address: 'fd00:1::53' },
  ]);
});

test('each way of addressing has the fields that Nova gives it, and no other', () => {
  const [port] = exampleServer().ports;
  const [four, six] = port!.fixedIps;
  const base = { id: 'network0', link: 'tap01900000-00', network_id: port!.networkId };
  const dns4 = [{ type: 'dns', address: '9.9.9.9' }];
  const told6 = {
    ...{ ip_address: six!.ip, netmask: 'ffff:ffff:ffff:ffff::' },
    routes: [{ network: '::', netmask: '::', gateway: 'fd00:1::1' }],
    services: [{ type: 'dns', address: 'fd00:1::53' }],
  };
  const routes4 = [{ network: '0.0.0.0', netmask: '0.0.0.0', gateway: '10.1.0.1' }];
  const told4 = { ip_address: '10.1.0.11', netmask: '255.255.255.0', routes: routes4, services: dns4 };
  for (const [fixedIp, type, told] of [
    [four!, 'ipv4_dhcp', {}],
    [{ ...four!, dhcp: false }, 'ipv4', told4],
    [six!, 'ipv6_slaac', told6],
    [{ ...six!, ipv6AddressMode: 'dhcpv6-stateful' }, 'ipv6_dhcpv6-stateful', told6],
    [{ ...six!, ipv6AddressMode: 'dhcpv6-stateless' }, 'ipv6_dhcpv6-stateless', told6],
    [{ ...six!, ipv6AddressMode: null, dhcp: false }, 'ipv6', told6],
    [
      { ...six!, ipv6AddressMode: null, gateway: null, dnsNameservers: [] as string[] },
      'ipv6',
      { ...told6, routes: [], services: [] },
    ],
  ] as const) {
    const { networks } = networkData([{ ...port!, fixedIps: [fixedIp] }]);
    assert.deepEqual(networks, [{ ...base, type, ...told }], type);
  }
});

test('a card with a tag is among the devices, and where it is as far as that is known', () => {
  const [port] = exampleServer().ports;
  const machine = { type: 'pc-q35-7.2', cpuModel: 'host', layout: 1 } as const;
  const devicesOf = (changes: Parameters<typeof exampleServer>[0], version = 'latest') =>
    JSON.parse(String(openstackFiles(exampleServer(changes), version).get('meta_data.json'))).devices;
  const ports = [port!, { ...port!, tag: '小屋', slot: 3 }, { ...port!, tag: 'far', slot: 4 }];
  const told = { type: 'nic', mac: port!.mac, vf_trusted: false };
  const far = { ...told, bus: 'none', address: 'none', tags: ['far'] };
  assert.deepEqual(devicesOf({ ports, machine }), [
    { ...told, bus: 'pci', address: '0000:04:00.0', tags: ['小屋'] },
    far,
  ]);
  assert.deepEqual(devicesOf({ ports: [{ ...port!, tag: 'far' }] }), [far], 'a machine of before there were places');
  assert.equal('vf_trusted' in devicesOf({ ports }, '2017-02-22')[0], false);
  assert.deepEqual(devicesOf({ ports: [port!], machine }), []);
});

test('a disk of the host’s with a tag is among the devices, where the machine has it', () => {
  const localDisks = [
    { name: 'ephemeral0', sizeMiB: 1, format: 'ext4', tag: '倉' },
    { name: 'swap', sizeMiB: 1, format: 'swap' },
  ] as const;
  const devicesOf = (layout: number, hardware = {}) => {
    const machine = { type: 'pc-q35-7.2', cpuModel: 'max', layout };
    const server = exampleServer({ machine, hardware, rootTag: 'system', localDisks: [...localDisks] });
    return JSON.parse(String(openstackFiles(server, 'latest').get('meta_data.json'))).devices;
  };
  const disk = (address: string, path: string, tag: string) => {
    return { type: 'disk', bus: address === 'none' ? 'none' : 'pci', address, path, tags: [tag] };
  };
  assert.deepEqual(devicesOf(2), [disk('0000:00:09.0', '/dev/vda', 'system'), disk('0000:00:0a.0', '/dev/vdb', '倉')]);
  const scsi = [disk('none', '/dev/sda', 'system'), disk('none', '/dev/sdb', '倉')];
  assert.deepEqual(devicesOf(2, { diskBus: 'scsi' }), scsi);
  assert.deepEqual(devicesOf(0)[0], disk('none', '/dev/vda', 'system'));
});

test('a volume with a tag is among the devices with its serial, and the EC2 tree names all but the one that is booted from', () => {
  const volume = { attachmentId: 'a', layerId: 'l', sizeBytes: 1, slot: 0, readOnly: false } as never as DesiredVolume;
  const volumes = [
    { ...volume, id: 'root' as VolumeId, bootIndex: 0, tag: 'boot', device: '/dev/vda' },
    { ...volume, id: 'data' as VolumeId, bootIndex: null, tag: null, device: '/dev/vdb' },
  ];
  const server = exampleServer({ volumes });
  const { devices } = JSON.parse(String(openstackFiles(server, 'latest').get('meta_data.json')));
  const disk = { type: 'disk', bus: 'none', address: 'none', serial: 'root', path: '/dev/vda', tags: ['boot'] };
  assert.deepEqual(devices, [disk]);
  const machine = { type: 'pc-q35-7.2', cpuModel: 'max', layout: 2 };
  const plugged = exampleServer({ machine, volumes: [{ ...volumes[1]!, slot: 3, tag: 'data' }] });
  const { devices: known } = JSON.parse(String(openstackFiles(plugged, 'latest').get('meta_data.json')));
  const place = { bus: 'pci', address: '0000:05:04.0' };
  assert.deepEqual(known, [{ ...disk, ...place, serial: 'data', path: '/dev/vdb', tags: ['data'] }]);
  const mapping = ec2MetaData(server)['block-device-mapping'];
  assert.deepEqual(mapping, { ami: 'vda', root: '/dev/vda', ebs0: '/dev/vdb' });
});

test('a port without an address has no link, and the card is its guest’s', () => {
  const [port] = exampleServer().ports;
  const bare = { ...port!, id: '7d0e62f1-93aa-4c31-9d5e-0a1b2c3d4e5f' as PortId, fixedIps: [] };
  assert.deepEqual(networkData([bare, port!]), networkData([port!]));
});

test('a subnet without DHCP is described statically', () => {
  const [port] = exampleServer().ports;
  const data = networkData([{ ...port!, fixedIps: [{ ...port!.fixedIps[0]!, dhcp: false }] }]);
  assert.equal(data.networks[0]!.type, 'ipv4');
  assert.deepEqual(data.networks[0]!.routes, [{ network: '0.0.0.0', netmask: '0.0.0.0', gateway: '10.1.0.1' }]);
  assert.deepEqual([data.networks[0]!.ip_address, data.networks[0]!.netmask], ['10.1.0.11', '255.255.255.0']);
});

test('what DHCP would tell of routes a static description tells', () => {
  const [port] = exampleServer().ports;
  const hostRoutes = [{ destination: '192.0.2.0/25', nexthop: '10.1.0.9' }];
  const data = networkData([
    { ...port!, fixedIps: [{ ...port!.fixedIps[0]!, dhcp: false, gateway: null, hostRoutes }] },
  ]);
  assert.deepEqual(data.networks[0]!.routes, [
    { network: '192.0.2.0', netmask: '255.255.255.128', gateway: '10.1.0.9' },
  ]);
});

test('each of the servers of one request is told which it is', () => {
  const third = exampleServer({ launchIndex: 2 });
  const document = JSON.parse(String(openstackFiles(third, 'latest').get('meta_data.json')));
  assert.equal(document.launch_index, 2);
  assert.equal(ec2MetaData(third)['ami-launch-index'], '2');
  assert.equal(ec2MetaData(exampleServer())['ami-launch-index'], '0');
});

test('netmasks of both families', () => {
  assert.equal(netmask(4, 26), '255.255.255.192');
  assert.equal(netmask(4, 0), '0.0.0.0');
  assert.equal(netmask(6, 64), 'ffff:ffff:ffff:ffff::');
  assert.equal(netmask(6, 56), 'ffff:ffff:ffff:ff00::');
  assert.equal(netmask(6, 128), 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff');
  assert.equal(netmask(6, 112), 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:0');
  assert.equal(netmask(6, 0), '::');
});

test('the EC2 tree has the ids in EC2 form', () => {
  const tree = ec2MetaData(exampleServer());
  assert.match(String(tree['instance-id']), /^i-[0-9a-f]{17}$/);
  assert.match(String(tree['ami-id']), /^ami-[0-9a-f]{17}$/);
  assert.equal(tree['local-ipv4'], '10.1.0.11');
});
