/** A model with one of everything that the projection knows, for the golden file. Ids are fixed and readable. */
import type { QosRule } from '../../qos-policy/rule.ts';
import { HostSet } from '../intent/gateway.ts';
import { IndexedModel, type ModelRows, type PortRow, type SecurityGroupRuleRow, type SubnetRow } from '../model.ts';

const id = (kind: string, n: number) => `00000000-0000-7000-8000-${kind.padStart(4, '0')}${String(n).padStart(8, '0')}`;
export const ids = {
  external: id('e', 1),
  red: id('a', 1),
  vlan: id('a', 2),
  router: id('b', 1),
  closedRouter: id('b', 2),
  web: id('c', 1),
  stateless: id('c', 2),
  partners: id('8', 1),
  host1: id('d', 1),
  host2: id('d', 2),
  deadHost: id('d', 3),
  elsewhere: id('d', 4),
};
const subnetId = (n: number) => id('5', n);
const portId = (n: number) => id('f', n);
const ruleId = (n: number) => id('9', n);

const subnet = (n: number, network_id: string, cidr: string, row: Partial<SubnetRow> = {}): SubnetRow => ({
  id: subnetId(n),
  network_id,
  ip_version: cidr.includes(':') ? 6 : 4,
  cidr,
  gateway_ip: null,
  enable_dhcp: true,
  ipv6_address_mode: null,
  ipv6_ra_mode: null,
  dns_nameservers: [],
  host_routes: [],
  address_scope_id: null,
  ...row,
});

const port = (
  n: number,
  network_id: string,
  ips: [subnet: number, ip: string][],
  row: Partial<PortRow> = {},
): PortRow => ({
  id: portId(n),
  network_id,
  name: `port ${n}`,
  mac: `fa:16:3e:00:00:${n.toString(16).padStart(2, '0')}`,
  admin_state_up: true,
  device_id: '',
  device_owner: 'compute:nova',
  port_security_enabled: true,
  allowed_address_pairs: [],
  extra_dhcp_opts: [],
  dns_name: '',
  host_id: null,
  migrating_to: null,
  observed_up: false,
  card_limits: {},
  qos_rules: [],
  ips: ips.map(([of, ip]) => ({ subnet_id: subnetId(of), ip })),
  security_group_ids: [],
  carried: null,
  has_local_ip: false,
  ...row,
});

const upTo = (direction: 'ingress' | 'egress', max_kbps: number, max_burst_kbps = 0): QosRule => ({
  ...{ kind: 'bandwidth_limit', direction, max_kbps, max_burst_kbps, dscp_mark: null, min_kbps: null },
});
const marked = (dscp_mark: number): QosRule => ({
  ...{ kind: 'dscp_marking', direction: 'egress', max_kbps: null, max_burst_kbps: null, dscp_mark, min_kbps: null },
});

const rule = (n: number, row: Partial<SecurityGroupRuleRow>): SecurityGroupRuleRow => ({
  id: ruleId(n),
  direction: 'ingress',
  ethertype: 'IPv4',
  protocol: null,
  port_range_min: null,
  port_range_max: null,
  remote_group_id: null,
  remote_address_group_id: null,
  remote_ip_prefix: null,
  ...row,
});

const slaac = { ipv6_address_mode: 'slaac', ipv6_ra_mode: 'slaac' } as const;
const stateful = { ipv6_address_mode: 'dhcpv6-stateful', ipv6_ra_mode: 'dhcpv6-stateful' } as const;
const stateless = { ipv6_address_mode: 'dhcpv6-stateless', ipv6_ra_mode: 'dhcpv6-stateless' } as const;
const onRouter = { device_owner: 'network:router_interface', device_id: ids.router };
const network = {
  admin_state_up: true,
  project_id: id('1', 1),
  external: false,
  mtu: 1442,
  domain: 'openstacklocal',
  provider_physical_network: null,
} as const;

const networks: ModelRows['networks'] = [
  {
    ...network,
    id: ids.external,
    name: 'outside',
    external: true,
    mtu: 1500,
    domain: 'openstacklocal',
    provider_network_type: 'flat',
    provider_physical_network: 'physnet1',
    provider_segmentation_id: null,
  },
  { ...network, id: ids.red, name: '小屋 🏔 "x"; drop', provider_network_type: 'geneve', provider_segmentation_id: 7 },
  {
    ...network,
    id: ids.vlan,
    name: 'vlan',
    provider_network_type: 'vlan',
    provider_physical_network: 'physnet2',
    provider_segmentation_id: 100,
  },
];

const subnets: ModelRows['subnets'] = [
  subnet(1, ids.external, '203.0.113.0/24', { gateway_ip: '203.0.113.254', enable_dhcp: false }),
  subnet(2, ids.external, '2001:db8::/64', { gateway_ip: '2001:db8::fe', enable_dhcp: false }),
  subnet(3, ids.red, '10.1.0.0/24', {
    gateway_ip: '10.1.0.1',
    dns_nameservers: ['9.9.9.9', '149.112.112.112'],
    host_routes: [{ destination: '10.99.0.0/16', nexthop: '10.1.0.254' }],
  }),
  subnet(4, ids.red, 'fd00:1::/64', { gateway_ip: 'fd00:1::1', dns_nameservers: ['2620:fe::fe'], ...slaac }),
  subnet(5, ids.vlan, '10.2.0.0/24'),
  subnet(6, ids.vlan, 'fd00:2::/64', { gateway_ip: 'fd00:2::1', ...stateful }),
  subnet(7, ids.vlan, 'fd00:3::/64', { gateway_ip: 'fd00:3::1', dns_nameservers: ['fd00:3::53'], ...stateless }),
];

const groups = (...security_group_ids: string[]) => ({ security_group_ids });

const ports: ModelRows['ports'] = [
  port(1, ids.red, [[3, '10.1.0.2']], { device_owner: 'network:distributed', device_id: `ovnmeta-${ids.red}` }),
  port(
    2,
    ids.red,
    [
      [3, '10.1.0.1'],
      [4, 'fd00:1::1'],
    ],
    onRouter,
  ),
  port(
    3,
    ids.vlan,
    [
      [6, 'fd00:2::1'],
      [7, 'fd00:3::1'],
    ],
    onRouter,
  ),
  port(
    4,
    ids.external,
    [
      [1, '203.0.113.1'],
      [2, '2001:db8::1'],
    ],
    {
      device_owner: 'network:router_gateway',
      device_id: ids.router,
    },
  ),
  port(
    5,
    ids.red,
    [
      [3, '10.1.0.11'],
      [4, 'fd00:1::f816:3eff:fe00:5'],
    ],
    {
      ...{ host_id: ids.host1, migrating_to: ids.host2 },
      // Tighter one way, and looser the other, than what the flavor lets through.
      qos_rules: [upTo('ingress', 4000), upTo('egress', 1000), marked(46)],
      card_limits: { inbound: { rate_kbit: 8000, burst_kbit: 6400 }, outbound: { rate_kbit: 256, burst_kbit: 525 } },
      ...groups(ids.web),
    },
  ),
  port(6, ids.red, [[3, '10.1.0.12']], {
    extra_dhcp_opts: [
      { opt_name: 'bootfile-name', opt_value: 'pxelinux.0', ip_version: 4 },
      { opt_name: 'router', opt_value: '', ip_version: 4 },
    ],
    name: '港 "6"',
    dns_name: 'harbour.example.',
    host_id: ids.elsewhere,
    allowed_address_pairs: [
      { ip_address: '10.1.0.100' },
      { ip_address: '10.1.0.128/25', mac_address: '00:00:5E:00:01:01' },
    ],
    ...groups(ids.web, ids.stateless),
  }),
  port(7, ids.red, [[3, '10.1.0.13']], {
    ...{ port_security_enabled: false, admin_state_up: false },
    qos_rules: [marked(0)],
  }),
  port(8, ids.vlan, [
    [5, '10.2.0.8'],
    [7, 'fd00:3::f816:3eff:fe00:8'],
    [6, 'fd00:2::8'],
  ]),
  port(11, ids.vlan, [[5, '10.2.0.11']], {
    device_owner: 'trunk:subport',
    host_id: ids.host1,
    carried: { parent: portId(5), tag: 100 },
    has_local_ip: true,
  }),
  port(9, ids.external, [[1, '203.0.113.11']], { device_owner: 'network:floatingip' }),
  port(10, ids.external, [[1, '203.0.113.2']], {
    device_owner: 'network:router_gateway',
    device_id: ids.closedRouter,
  }),
];

const router = {
  ...{
    admin_state_up: true,
    gateway_network_id: ids.external,
    enable_snat: true,
    default_route_ecmp: false,
    nat64: false,
    ndp_proxies: [],
  },
  ...{ distributed: true, ha: true, availability_zone_hints: [], routes: [], gateway_qos_rules: [], metered: [] },
};
const forwarding = {
  ...{ floating_ip_id: id('4', 3), floating_ip: '203.0.113.13', router_id: ids.router },
  qos_rules: [upTo('ingress', 1500)],
};
const floating = { floating_network_id: ids.external, router_id: ids.router, qos_rules: [] };
const host = (hostId: string, physical_networks: string[], alive: boolean) => ({
  id: hostId,
  physical_networks,
  zone: 'nova',
  alive,
});

const rules: SecurityGroupRuleRow[] = [
  rule(1, { direction: 'egress' }),
  rule(2, { direction: 'egress', ethertype: 'IPv6' }),
  rule(3, { protocol: 'tcp', port_range_min: 80, port_range_max: 80, remote_ip_prefix: '0.0.0.0/0' }),
  rule(4, { protocol: 'udp', port_range_min: 1000, port_range_max: 2000, remote_ip_prefix: '198.51.100.0/24' }),
  rule(5, { protocol: '6', ethertype: 'IPv6', remote_group_id: ids.web }),
  rule(6, { protocol: 'icmp', port_range_min: 8, port_range_max: 0 }),
  rule(7, { protocol: 'ipv6-icmp', ethertype: 'IPv6', port_range_min: 128 }),
  rule(8, { protocol: 'icmp', ethertype: 'IPv6' }),
  rule(9, { protocol: 'vrrp' }),
  rule(10, { protocol: '89', direction: 'egress', remote_ip_prefix: '224.0.0.5/32' }),
  rule(11, { protocol: 'sctp', port_range_min: 1, port_range_max: 65535 }),
];

export const modelRows: ModelRows = {
  networks,
  subnets,
  ports,
  routers: [
    {
      ...router,
      id: ids.router,
      name: 'router',
      ndp_proxies: [{ id: id('7', 1), ip: 'fd00:1::f816:3eff:fe00:5' }],
      gateway_qos_rules: [upTo('ingress', 50_000), upTo('egress', 20_000, 5000)],
      metered: [
        { direction: 'ingress', source: '0.0.0.0/0', destination: '10.1.0.0/24' },
        { direction: 'egress', source: '10.1.0.0/24', destination: '0.0.0.0/0' },
        { direction: 'egress', source: '0.0.0.0/0', destination: '198.51.100.0/24' },
        { direction: 'egress', source: '::/0', destination: '::/0' },
      ],
      routes: [
        { destination: '172.16.0.0/12', nexthop: '10.1.0.253' },
        { destination: 'fd99::/48', nexthop: 'fd00:1::253' },
      ],
    },
    { ...router, id: ids.closedRouter, name: 'closed', admin_state_up: false, enable_snat: false, nat64: true },
  ],
  floatingIps: [
    {
      ...floating,
      id: id('4', 1),
      floating_port_mac: 'fa:16:3e:00:00:09',
      floating_ip: '203.0.113.11',
      port_id: portId(5),
      fixed_ip: '10.1.0.11',
      qos_rules: [upTo('ingress', 3000), upTo('egress', 2000), marked(10)],
    },
    {
      ...floating,
      id: id('4', 2),
      floating_port_mac: 'fa:16:3e:00:00:0a',
      floating_ip: '203.0.113.12',
      port_id: portId(6),
      fixed_ip: '10.1.0.12',
    },
  ],
  portForwardings: [
    {
      ...forwarding,
      id: id('3', 1),
      ...{ protocol: 'tcp', external_first: 2222, external_last: 2222 },
      ...{ fixed_ip: '10.1.0.12', internal_first: 22, internal_last: 22 },
    },
    {
      ...forwarding,
      id: id('3', 2),
      ...{ protocol: 'tcp', external_first: 8000, external_last: 8002 },
      ...{ fixed_ip: '10.1.0.12', internal_first: 9000, internal_last: 9002 },
    },
    {
      ...forwarding,
      id: id('3', 3),
      ...{ protocol: 'udp', external_first: 5000, external_last: 5001 },
      ...{ fixed_ip: '10.1.0.13', internal_first: 53, internal_last: 53 },
    },
  ],
  securityGroups: [
    { id: ids.web, name: 'web', stateful: true, rules },
    {
      id: ids.stateless,
      name: 'stateless',
      stateful: false,
      rules: [rule(20, { protocol: 'udp' }), rule(21, { remote_address_group_id: ids.partners })],
    },
  ],
  addressGroups: [{ id: ids.partners, name: 'partners', addresses: ['192.0.2.0/24', '2001:db8:7::/48'] }],
  localIps: [
    {
      ...{ id: id('6', 1), network_id: ids.red, ip: '10.1.0.50', ip_mode: 'translate', has_own_port: true },
      leads_to: [
        { port_id: portId(6), ip: '10.1.0.12', host_id: ids.elsewhere },
        { port_id: portId(7), ip: '10.1.0.13', host_id: ids.host2 },
      ],
    },
    {
      ...{ id: id('6', 2), network_id: ids.red, ip: '10.1.0.51', ip_mode: 'passthrough', has_own_port: true },
      leads_to: [{ port_id: portId(7), ip: '10.1.0.13', host_id: ids.host2 }],
    },
    {
      ...{ id: id('6', 3), network_id: ids.vlan, ip: '10.2.0.11', ip_mode: 'translate', has_own_port: false },
      leads_to: [],
    },
  ],
  hosts: new HostSet([
    host(ids.host1, ['physnet1'], true),
    host(ids.host2, ['physnet1', 'physnet2'], true),
    host(ids.deadHost, ['physnet1'], false),
    host(ids.elsewhere, [], true),
  ]),
};

export const representative = new IndexedModel(modelRows);
