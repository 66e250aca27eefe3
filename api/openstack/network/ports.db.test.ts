import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '../../../contract/ids.ts';
import { oddName, testAdmin, testCaller } from '../../../control/network/testing.ts';
import { type Answer, newNetwork, newSubnet, refused, testApi } from './testing.ts';

const api = await testApi();

const slaac = { ipv6_ra_mode: 'slaac', ipv6_address_mode: 'slaac' };

test('a subnet gets gateway, pools and defaults; all of it can be chosen and changed', async () => {
  const me = api.as(testCaller());
  const network_id = await newNetwork(me);
  const plain = await newSubnet(me, network_id, '10.0.0.0/24');
  assert.deepEqual(
    [plain.gateway_ip, plain.enable_dhcp, plain.allocation_pools],
    ['10.0.0.1', true, [{ start: '10.0.0.2', end: '10.0.0.254' }]],
  );
  const chosen = await newSubnet(me, network_id, '10.0.1.0/24', {
    gateway_ip: '10.0.1.100',
    dns_nameservers: ['9.9.9.9', '1.1.1.1'],
    host_routes: [{ destination: '10.9.0.0/16', nexthop: '10.0.1.9' }],
    description: oddName,
  });
  assert.deepEqual(chosen.allocation_pools, [
    { start: '10.0.1.1', end: '10.0.1.99' },
    { start: '10.0.1.101', end: '10.0.1.254' },
  ]);
  assert.deepEqual(chosen.dns_nameservers, ['9.9.9.9', '1.1.1.1']);
  const changed = await me.put(`/subnets/${chosen.id}`, {
    subnet: { gateway_ip: null, allocation_pools: [{ start: '10.0.1.5', end: '10.0.1.9' }], dns_nameservers: [] },
  });
  assert.deepEqual(
    [changed.body.subnet.gateway_ip, changed.body.subnet.allocation_pools, changed.body.subnet.dns_nameservers],
    [null, [{ start: '10.0.1.5', end: '10.0.1.9' }], []],
  );
  const six = await newSubnet(me, network_id, '2001:db8::/64', slaac);
  assert.deepEqual([six.gateway_ip, six.ipv6_ra_mode], ['2001:db8::1', 'slaac']);
  assert.equal((await me.get(`/networks/${network_id}`)).body.network.subnets.length, 3);
  assert.equal((await me.get(`/subnets?network_id=${network_id}&ip_version=6`)).body.subnets.length, 1);
});

test('subnets that cannot be are refused', async () => {
  const me = api.as(testCaller());
  const network_id = await newNetwork(me);
  await newSubnet(me, network_id, '10.0.0.0/24');
  const table: [object, number, string][] = [
    [{ cidr: '10.0.0.128/25' }, 400, 'InvalidInput'],
    [{ cidr: '10.1.0.0' }, 400, 'HTTPBadRequest'],
    [{ cidr: 'x' }, 400, 'HTTPBadRequest'],
    [{ cidr: undefined }, 400, 'BadRequest'],
    [{ cidr: '0.0.0.0/0' }, 400, 'InvalidInput'],
    [{ cidr: '10.1.0.0/31' }, 400, 'InvalidInput'],
    [{ cidr: '224.0.0.0/24' }, 400, 'InvalidInput'],
    [{ cidr: '2001:db8::/64' }, 400, 'InvalidInput'],
    [{ ip_version: 5 }, 400, 'HTTPBadRequest'],
    [{ gateway_ip: '10.1.0.255' }, 400, 'InvalidInput'],
    [{ gateway_ip: '2001:db8::1' }, 400, 'InvalidInput'],
    [{ allocation_pools: [{ start: '10.1.0.9', end: '10.1.0.5' }] }, 400, 'InvalidAllocationPool'],
    [{ allocation_pools: [{ start: '10.1.0.9', end: '10.1.1.5' }] }, 400, 'OutOfBoundsAllocationPool'],
    [{ allocation_pools: [{ start: '10.1.0.1', end: '10.1.0.5' }] }, 409, 'GatewayConflictWithAllocationPools'],
    [
      {
        allocation_pools: [
          { start: '10.1.0.2', end: '10.1.0.5' },
          { start: '10.1.0.5', end: '10.1.0.9' },
        ],
      },
      409,
      'OverlappingAllocationPools',
    ],
    [{ dns_nameservers: ['x'] }, 400, 'InvalidInput'],
    [
      { dns_nameservers: ['1.1.1.1', '1.1.1.2', '1.1.1.3', '1.1.1.4', '1.1.1.5', '1.1.1.6'] },
      400,
      'DNSNameServersExhausted',
    ],
    [{ host_routes: [{ destination: '10.0.0.0/8', nexthop: '::1' }] }, 400, 'InvalidInput'],
    [{ ipv6_ra_mode: 'slaac' }, 400, 'InvalidInput'],
    [{ cidr: '2001:db8::/60', ip_version: 6, ...slaac }, 400, 'InvalidInput'],
    [{ cidr: '2001:db8::/64', ip_version: 6, ...slaac, enable_dhcp: false }, 400, 'InvalidInput'],
    [{ cidr: '2001:db8::/64', ip_version: 6, ...slaac, ipv6_ra_mode: 'dhcpv6-stateful' }, 400, 'InvalidInput'],
    [{ network_id: newId() }, 404, 'NetworkNotFound'],
  ];
  for (const [over, status, type] of table) {
    refused(
      await me.post('/subnets', { subnet: { network_id, cidr: '10.1.0.0/24', ip_version: 4, ...over } }),
      status,
      type,
    );
  }
  const subnet = await newSubnet(me, network_id, '10.2.0.7/24');
  assert.equal(subnet.cidr, '10.2.0.0/24', 'host bits are taken off');
  refused(
    await me.put(`/subnets/${subnet.id}`, { subnet: { cidr: '10.3.0.0/24' } }),
    400,
    'HTTPBadRequest',
    /read-only/,
  );
});

test('a port has by default an address of each version, and the default security group', async () => {
  const me = api.as(testCaller());
  const network_id = await newNetwork(me);
  const four = await newSubnet(me, network_id, '10.0.0.0/24');
  const six = await newSubnet(me, network_id, '2001:db8::/64', slaac);
  const { port } = (await me.post('/ports', { port: { network_id, name: oddName } })).body;
  assert.match(port.mac_address, /^fa:16:3e:/);
  assert.deepEqual(
    port.fixed_ips.map(({ subnet_id }: { subnet_id: string }) => subnet_id),
    [four.id, six.id],
  );
  const eui = `2001:db8::f816:3eff:fe${port.mac_address.slice(9).replace(':', '').replace(':', ':')}`;
  assert.ok(port.fixed_ips[1].ip_address.startsWith('2001:db8::f816:3eff:fe'), eui);
  assert.equal(port.status, 'DOWN');
  const groups = (await me.get('/security-groups')).body.security_groups;
  assert.deepEqual([groups.length, groups[0].name, groups[0].security_group_rules.length], [1, 'default', 4]);
  assert.deepEqual(port.security_groups, [groups[0].id]);
  assert.equal('binding:host_id' in port, false);
  const count = async (query: string) => (await me.get(`/ports?${query}`)).body.ports.length;
  const ip = port.fixed_ips[0].ip_address;
  assert.deepEqual(
    [
      await count(`fixed_ips=ip_address=${ip}`),
      await count(`fixed_ips=subnet_id=${four.id}&fixed_ips=ip_address=${ip}`),
      await count('fixed_ips=ip_address_substr=10.0.0'),
      await count(`fixed_ips=subnet_id=${newId()}`),
      await count(`mac_address=${port.mac_address.toUpperCase()}`),
      await count(`security_groups=${groups[0].id}`),
      await count('device_owner=network:distributed'),
    ],
    [1, 1, 2, 0, 1, 1, 1],
  );
  for (const odd of ['x', 'x=y', 'constructor=x', '__proto__=x']) {
    assert.equal((await me.get(`/ports?fixed_ips=${odd}`)).status, 400, odd);
  }
});

test('addresses are taken as asked for: by subnet, by address, several, or none', async () => {
  const me = api.as(testCaller());
  const network_id = await newNetwork(me);
  const subnet = await newSubnet(me, network_id, '10.0.0.0/24');
  const fixed = async (fixed_ips: unknown) => me.post('/ports', { port: { network_id, fixed_ips } });
  const ips = (answer: Answer): string[] =>
    answer.body.port.fixed_ips.map(({ ip_address }: { ip_address: string }) => ip_address);
  assert.deepEqual(ips(await fixed([{ ip_address: '10.0.0.50' }, { subnet_id: subnet.id, ip_address: '10.0.0.40' }])), [
    '10.0.0.50',
    '10.0.0.40',
  ]);
  assert.deepEqual(ips(await fixed([])), []);
  assert.equal(ips(await fixed([{ subnet_id: subnet.id }, { subnet_id: subnet.id }])).length, 2);
  refused(await fixed([{ ip_address: '10.0.0.50' }]), 409, 'IpAddressInUse');
  refused(await fixed([{ ip_address: '10.0.1.50' }]), 400, 'InvalidIpForNetwork');
  refused(await fixed([{ subnet_id: subnet.id, ip_address: '10.0.0.255' }]), 400, 'InvalidIpForSubnet');
  refused(await fixed([{ subnet_id: newId() }]), 404, 'SubnetNotFound');
  refused(await fixed([{}]), 400, 'InvalidInput');
  refused(await fixed([{ ip_address: '10.0.0.7' }, { ip_address: '10.0.0.7' }]), 400, 'HTTPBadRequest', /Duplicate IP/);
  refused(await fixed([{ ip: '10.0.0.7' }]), 400, 'HTTPBadRequest', /Unexpected keys/);
});

test('on a SLAAC subnet the address follows from the MAC and nothing else', async () => {
  const me = api.as(testCaller());
  const network_id = await newNetwork(me);
  const before = (await me.post('/ports', { port: { network_id, mac_address: 'fa:16:3e:00:00:01' } })).body.port;
  const six = await newSubnet(me, network_id, '2001:db8::/64', slaac);
  const now = (await me.get(`/ports/${before.id}`)).body.port;
  assert.deepEqual(now.fixed_ips, [{ subnet_id: six.id, ip_address: '2001:db8::f816:3eff:fe00:1' }]);
  refused(
    await me.post('/ports', { port: { network_id, fixed_ips: [{ ip_address: '2001:db8::5' }] } }),
    400,
    'AllocationOnAutoAddressSubnet',
  );
  assert.equal((await me.delete(`/subnets/${six.id}`)).status, 204, 'such addresses keep no subnet in being');
  assert.deepEqual((await me.get(`/ports/${before.id}`)).body.port.fixed_ips, []);
});

test('a port changes: addresses, groups, pairs, security, owner', async () => {
  const me = api.as(testCaller());
  const network_id = await newNetwork(me);
  const subnet = await newSubnet(me, network_id, '10.0.0.0/24');
  const group = (await me.post('/security-groups', { security_group: { name: oddName } })).body.security_group;
  const { port } = (await me.post('/ports', { port: { network_id, fixed_ips: [{ ip_address: '10.0.0.9' }] } })).body;
  const put = async (change: object) => me.put(`/ports/${port.id}`, { port: change });
  const ip = (address: string) => ({ subnet_id: subnet.id, ip_address: address });
  refused(await put({ security_groups: [group.id, group.id] }), 400, 'HTTPBadRequest', /Duplicate/);
  assert.deepEqual(
    (await put({ fixed_ips: [ip('10.0.0.8'), ip('10.0.0.9')] })).body.port.fixed_ips.map(
      (one: { ip_address: string }) => one.ip_address,
    ),
    ['10.0.0.9', '10.0.0.8'],
  );
  assert.deepEqual((await put({ fixed_ips: [{ subnet_id: subnet.id }] })).body.port.fixed_ips, [ip('10.0.0.9')]);
  const pairs = [{ ip_address: '10.5.0.0/16' }, { ip_address: '10.0.0.77', mac_address: 'FA:16:3E:11:22:33' }];
  const changed = await put({
    name: 'new 小屋',
    security_groups: [group.id],
    allowed_address_pairs: pairs,
    extra_dhcp_opts: [{ opt_name: 'mtu', opt_value: '1400' }],
    device_id: 'mine',
  });
  assert.deepEqual(changed.body.port.security_groups, [group.id]);
  assert.deepEqual(changed.body.port.allowed_address_pairs, [
    { ip_address: '10.5.0.0/16', mac_address: port.mac_address },
    { ip_address: '10.0.0.77', mac_address: 'fa:16:3e:11:22:33' },
  ]);
  assert.deepEqual(changed.body.port.extra_dhcp_opts, [{ opt_name: 'mtu', opt_value: '1400', ip_version: 4 }]);
  const boot = [{ opt_name: 'bootfile-name', opt_value: 'pxelinux.0' }];
  assert.equal((await put({ extra_dhcp_opts: boot })).body.port.extra_dhcp_opts.length, 2, 'what is not named stays');
  refused(await put({ extra_dhcp_opts: [{ opt_name: 'no-such', opt_value: '1' }] }), 400, 'DhcpOptionUnknown');
  refused(await put({ extra_dhcp_opts: [{ opt_name: 'mtu', opt_value: '1); x(' }] }), 400, 'DhcpOptionMalformed');
  refused(await put({ port_security_enabled: false }), 409, 'AddressPairAndPortSecurityRequired');
  refused(
    await put({ port_security_enabled: false, allowed_address_pairs: [] }),
    409,
    'PortSecurityPortHasSecurityGroup',
  );
  const open = await put({ port_security_enabled: false, allowed_address_pairs: [], security_groups: [] });
  assert.deepEqual([open.body.port.port_security_enabled, open.body.port.security_groups], [false, []]);
  refused(await put({ security_groups: [group.id] }), 400, 'PortSecurityAndIPRequiredForSecurityGroups');
  refused(await put({ security_groups: [newId()] }), 404, 'SecurityGroupNotFound');
  refused(await put({ network_id: newId() }), 400, 'HTTPBadRequest', /read-only/);
  refused(await put({ device_owner: 'network:router_interface' }), 403, 'PolicyNotAuthorized');
  refused(await put({ 'binding:host_id': 'x' }), 403, 'PolicyNotAuthorized');
  refused(await put({ mac_address: 'ff:ff:ff:ff:ff:ff' }), 400, 'HTTPBadRequest');
  assert.equal((await put({ mac_address: 'fa:16:3e:99:99:99' })).body.port.mac_address, 'fa:16:3e:99:99:99');
});

test('what no port here can have is refused with what is missing; asking for none of it is fine', async () => {
  const me = api.as(testCaller());
  const network_id = await newNetwork(me);
  const none = { device_profile: null, hints: null, numa_affinity_policy: null, mac_learning_enabled: null };
  const { port } = (await me.post('/ports', { port: { network_id, ...none } })).body;
  assert.equal('hints' in port, false);
  for (const [name, value, why] of [
    ['device_profile', 'gpu', /no accelerators/],
    ['mac_learning_enabled', true, /exactly where its port security is off/],
    ['mac_learning_enabled', false, /exactly where its port security is off/],
    ['hints', { openvswitch: { other_config: { 'tx-steering': 'hash' } } }, /one transmit queue/],
    ['numa_affinity_policy', 'required', /NUMA nodes/],
  ] as const) {
    refused(await me.post('/ports', { port: { network_id, [name]: value } }), 400, 'HTTPBadRequest', why);
    if (name === 'device_profile') continue;
    refused(await me.put(`/ports/${port.id}`, { port: { [name]: value } }), 400, 'HTTPBadRequest', why);
  }
});

test('a port gets another MAC address where it asks for any, and its SLAAC address goes with it', async () => {
  const me = api.as(testCaller());
  const network_id = await newNetwork(me);
  await newSubnet(me, network_id, '2001:db8::/64', slaac);
  const { port } = (await me.post('/ports', { port: { network_id } })).body;
  const changed = (await me.put(`/ports/${port.id}`, { port: { mac_address: null } })).body.port;
  assert.notEqual(changed.mac_address, port.mac_address);
  const [[before], [after]] = [port.fixed_ips, changed.fixed_ips];
  assert.deepEqual([changed.fixed_ips.length, after.subnet_id], [1, before.subnet_id]);
  assert.notEqual(after.ip_address, before.ip_address);
  const twin = await me.post('/ports', { port: { network_id, mac_address: changed.mac_address } });
  refused(twin, 409, 'MacAddressInUse');
  const named = { mac_address: '02:00:00:00:0a:0b', fixed_ips: [after] };
  refused(await me.put(`/ports/${port.id}`, { port: named }), 400, 'AllocationOnAutoAddressSubnet');
  const chosen = (await me.put(`/ports/${port.id}`, { port: { mac_address: '02:00:00:00:0a:0b' } })).body.port;
  assert.deepEqual(chosen.fixed_ips, [{ ...before, ip_address: '2001:db8::ff:fe00:a0b' }]);
});

test('MAC addresses are unique in a network', async () => {
  const me = api.as(testCaller());
  const network_id = await newNetwork(me);
  const port = { network_id, mac_address: 'fa:16:3e:00:00:01' };
  assert.equal((await me.post('/ports', { port })).status, 201);
  refused(await me.post('/ports', { port }), 409, 'MacAddressInUse');
});

test('ports keep network and subnet in being; the metadata port does not, and comes again when it is deleted', async () => {
  const me = api.as(testCaller());
  const network_id = await newNetwork(me);
  const subnet = await newSubnet(me, network_id, '10.0.0.0/24');
  const [first] = (await me.get(`/ports?network_id=${network_id}`)).body.ports;
  assert.equal((await me.delete(`/ports/${first.id}`)).status, 204);
  const [metadata] = (await me.get(`/ports?network_id=${network_id}`)).body.ports;
  assert.notEqual(metadata.id, first.id);
  assert.deepEqual(
    [metadata.device_owner, metadata.device_id, metadata.fixed_ips[0].ip_address],
    ['network:distributed', `ovnmeta-${network_id}`, '10.0.0.2'],
  );
  await me.put(`/subnets/${subnet.id}`, { subnet: { enable_dhcp: false } });
  assert.deepEqual((await me.get(`/ports/${metadata.id}`)).body.port.fixed_ips, []);
  await me.put(`/subnets/${subnet.id}`, { subnet: { enable_dhcp: true } });
  const { port } = (await me.post('/ports', { port: { network_id } })).body;
  refused(await me.delete(`/networks/${network_id}`), 409, 'NetworkInUse', new RegExp(port.id));
  refused(await me.delete(`/subnets/${subnet.id}`), 409, 'SubnetInUse');
  assert.equal((await me.delete(`/ports/${port.id}`)).status, 204);
  assert.equal((await me.delete(`/networks/${network_id}`)).status, 204);
  refused(await me.get(`/subnets/${subnet.id}`), 404, 'SubnetNotFound');
});

test('on a shared network others make ports, but choose neither address nor MAC nor the filters', async () => {
  const admin = api.as(testAdmin());
  const me = api.as(testCaller());
  const network_id = await newNetwork(admin, { shared: true });
  const subnet = await newSubnet(admin, network_id, '10.0.0.0/24');
  assert.equal((await me.post('/ports', { port: { network_id, fixed_ips: [{ subnet_id: subnet.id }] } })).status, 201);
  for (const over of [
    { fixed_ips: [{ ip_address: '10.0.0.9' }] },
    { mac_address: 'fa:16:3e:00:00:01' },
    { port_security_enabled: false },
    { allowed_address_pairs: [{ ip_address: '10.0.0.9' }] },
  ]) {
    refused(await me.post('/ports', { port: { network_id, ...over } }), 403, 'PolicyNotAuthorized');
  }
  refused(
    await me.post('/subnets', { subnet: { network_id, cidr: '10.9.0.0/24', ip_version: 4 } }),
    403,
    'PolicyNotAuthorized',
  );
  refused(await me.delete(`/subnets/${subnet.id}`), 403, 'PolicyNotAuthorized');
  const external = await newNetwork(admin, { 'router:external': true });
  const hidden = await newSubnet(admin, external, '203.0.113.0/24');
  refused(await me.post('/ports', { port: { network_id: external } }), 403, 'PolicyNotAuthorized');
  refused(await me.get(`/subnets/${hidden.id}`), 404, 'SubnetNotFound');
});

test('administrators see and write where a port is bound', async () => {
  const admin = api.as(testAdmin());
  const network_id = await newNetwork(admin);
  const { port } = (await admin.post('/ports', { port: { network_id, 'binding:host_id': oddName } })).body;
  assert.deepEqual([port['binding:host_id'], port['binding:vif_type']], [oddName, 'ovs']);
  assert.equal((await admin.get(`/ports?binding:host_id=${encodeURIComponent(oddName)}`)).body.ports.length, 1);
});

test('many ports are made in one request', async () => {
  const me = api.as(testCaller());
  const network_id = await newNetwork(me);
  await newSubnet(me, network_id, '10.0.0.0/24');
  const made = await me.post('/ports', {
    ports: Array.from({ length: 50 }, (_, i) => ({ network_id, name: `p${i}` })),
  });
  assert.deepEqual(
    made.body.ports.map(({ name }: { name: string }) => name),
    Array.from({ length: 50 }, (_, i) => `p${i}`),
  );
  assert.equal(
    new Set(made.body.ports.map((port: { fixed_ips: { ip_address: string }[] }) => port.fixed_ips[0]!.ip_address)).size,
    50,
  );
});

test('of two ports that change to one MAC address at once one gets it; the other is told that it is in use', async () => {
  const me = api.as(testCaller());
  const { network } = (await me.post('/networks', { network: {} })).body;
  const ids: string[] = [];
  for (let n = 0; n < 8; n++) ids.push((await me.post('/ports', { port: { network_id: network.id } })).body.port.id);
  const answers = await Promise.all(
    ids.map((id) => me.put(`/ports/${id}`, { port: { mac_address: 'fa:16:3e:00:00:01' } })),
  );
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, ...Array(7).fill(409)]);
});

test('a port that changes to a subnet which is deleted meanwhile is told so, and never fails', async () => {
  const me = api.as(testCaller());
  const { network } = (await me.post('/networks', { network: {} })).body;
  const { port } = (await me.post('/ports', { port: { network_id: network.id } })).body;
  for (let n = 0; n < 8; n++) {
    const wish = { subnet: { network_id: network.id, ip_version: 4, cidr: `10.${n}.0.0/24` } };
    const { subnet } = (await me.post('/subnets', wish)).body;
    const [changed, deleted] = await Promise.all([
      me.put(`/ports/${port.id}`, { port: { fixed_ips: [{ subnet_id: subnet.id }] } }),
      me.delete(`/subnets/${subnet.id}`),
    ]);
    assert.ok([200, 400, 404].includes(changed.status), JSON.stringify(changed.body));
    assert.ok([204, 409].includes(deleted.status), JSON.stringify(deleted.body));
    await me.put(`/ports/${port.id}`, { port: { fixed_ips: [] } });
  }
});
