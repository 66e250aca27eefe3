/**
 * What is made while that which it hangs on is deleted: one of the two is refused in words of Neutron's, or both hold; nobody hears of an error of
 * ours. Each pair is stopped where the maker has looked and not yet written.
 */
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { sql } from 'kysely';
import { betweenReadAndWrite, type Maker, testMadeWhileDeleted } from '../../../control/kit/database/test-between.ts';
import { testDatabase } from '../../../control/kit/database/testing.ts';
import { testAdmin, testCaller } from '../../../control/network/testing.ts';
import { type Answer, newNetwork, newSubnet, testApi } from './testing.ts';

const own = await testDatabase();
const api = await testApi(own.database);
const between = await betweenReadAndWrite(own);
after(async () => {
  await between[Symbol.asyncDispose]();
  await own[Symbol.asyncDispose]();
});
const admin = api.as(testAdmin());
const me = api.as(testCaller());

before(() => sql`update quota set maximum = -1 where project_id is null`.execute(own.database.query));

const made = async (who: typeof me, path: string, noun: string, body: object): Promise<string> => {
  const answer = await who.post(path, { [noun]: body });
  assert.ok(answer.status === 201, JSON.stringify(answer.body));
  return answer.body[noun].id;
};

/** One of everything, new for each pair. */
async function world() {
  const network = await newNetwork(me);
  const subnet = (await newSubnet(me, network, '10.0.0.0/24')).id as string;
  const second = (await newSubnet(me, network, '10.0.1.0/24')).id as string;
  const outside = await newNetwork(admin, { 'router:external': true });
  await newSubnet(admin, outside, '172.20.0.0/16', { enable_dhcp: false });
  const gateway = { external_gateway_info: { network_id: outside } };
  const router = await made(me, '/routers', 'router', gateway);
  await me.put(`/routers/${router}/add_router_interface`, { subnet_id: subnet });
  const port = await made(me, '/ports', 'port', { network_id: network, fixed_ips: [{ subnet_id: subnet }] });
  const parent = await made(me, '/ports', 'port', { network_id: network, fixed_ips: [{ subnet_id: subnet }] });
  const trunk = await made(me, '/trunks', 'trunk', { port_id: parent });
  const floating = await made(me, '/floatingips', 'floatingip', { floating_network_id: outside });
  const group = await made(me, '/security-groups', 'security_group', {});
  const remote = await made(me, '/security-groups', 'security_group', {});
  const addresses = await made(me, '/address-groups', 'address_group', { addresses: ['10.9.0.0/16'] });
  const policy = await made(admin, '/qos/policies', 'policy', { name: 'p', shared: true });
  const scope = await made(me, '/address-scopes', 'address_scope', { name: 's', ip_version: 4 });
  const pool = await made(me, '/subnetpools', 'subnetpool', {
    name: 'p',
    prefixes: ['10.64.0.0/16'],
    default_prefixlen: 26,
  });
  const label = await made(admin, '/metering/metering-labels', 'metering_label', { name: 'l' });
  const localIp = await made(me, '/local_ips', 'local_ip', { local_port_id: parent });
  const lone = await made(me, '/ports', 'port', { network_id: network, fixed_ips: [{ subnet_id: second }] });
  const bare = await newNetwork(me);
  const flavor = await made(admin, '/flavors', 'flavor', { name: 'f', service_type: 'L3_ROUTER_NAT' });
  const profile = await made(admin, '/service_profiles', 'service_profile', { driver: 'ovn' });
  await admin.post(`/flavors/${flavor}/service_profiles`, { service_profile: { id: profile } });
  const further = await made(admin, '/service_profiles', 'service_profile', { metainfo: '{}' });
  return {
    ...{ network, subnet, second, outside, router, port, parent, trunk, floating, group, remote, addresses },
    ...{ policy, scope, pool, label, localIp, flavor, lone, bare, further },
  };
}
type World = Awaited<ReturnType<typeof world>>;

const ends = {
  network: ({ network }: World) => me.delete(`/networks/${network}`),
  subnet: ({ subnet }: World) => me.delete(`/subnets/${subnet}`),
  second: ({ second }: World) => me.delete(`/subnets/${second}`),
  outside: ({ outside }: World) => admin.delete(`/networks/${outside}`),
  router: ({ router }: World) => me.delete(`/routers/${router}`),
  bare: ({ bare }: World) => me.delete(`/networks/${bare}`),
  lone: ({ lone }: World) => me.delete(`/ports/${lone}`),
  further: ({ further }: World) => admin.delete(`/service_profiles/${further}`),
  port: ({ port }: World) => me.delete(`/ports/${port}`),
  trunk: ({ trunk }: World) => me.delete(`/trunks/${trunk}`),
  floating: ({ floating }: World) => me.delete(`/floatingips/${floating}`),
  group: ({ group }: World) => me.delete(`/security-groups/${group}`),
  remote: ({ remote }: World) => me.delete(`/security-groups/${remote}`),
  addresses: ({ addresses }: World) => me.delete(`/address-groups/${addresses}`),
  policy: ({ policy }: World) => admin.delete(`/qos/policies/${policy}`),
  scope: ({ scope }: World) => me.delete(`/address-scopes/${scope}`),
  pool: ({ pool }: World) => me.delete(`/subnetpools/${pool}`),
  label: ({ label }: World) => admin.delete(`/metering/metering-labels/${label}`),
  localIp: ({ localIp }: World) => me.delete(`/local_ips/${localIp}`),
  flavor: ({ flavor }: World) => admin.delete(`/flavors/${flavor}`),
} as const;

const ruleOf = (group: string, more: object = {}) =>
  me.post('/security-group-rules', {
    security_group_rule: { security_group_id: group, direction: 'ingress', ...more },
  });

const makers: Readonly<Record<string, Maker<World, keyof typeof ends, Answer>>> = {
  'a port': {
    table: 'port',
    make: ({ network, second, group, policy }) =>
      me.post('/ports', {
        port: {
          ...{ network_id: network, fixed_ips: [{ subnet_id: second }], security_groups: [group] },
          qos_policy_id: policy,
        },
      }),
    on: ['second', 'group', 'policy'],
  },
  'a port of any subnet': {
    table: 'port_ip',
    make: ({ outside }) => admin.post('/ports', { port: { network_id: outside } }),
    on: ['outside'],
  },
  'a port’s group': {
    table: 'port_security_group',
    make: ({ port, group }) => me.put(`/ports/${port}`, { port: { security_groups: [group] } }),
    on: ['group', 'port'],
  },
  'a port’s addresses': {
    table: 'port_ip',
    make: ({ port, second }) => me.put(`/ports/${port}`, { port: { fixed_ips: [{ subnet_id: second }] } }),
    on: ['second', 'port'],
  },
  'a floating IP': {
    table: 'floating_ip',
    make: ({ outside, port, policy }) =>
      me.post('/floatingips', {
        floatingip: { floating_network_id: outside, port_id: port, qos_policy_id: policy },
      }),
    on: ['outside', 'port', 'policy', 'router'],
  },
  'what a floating IP leads to': {
    table: 'floating_ip',
    make: ({ floating, port }) => me.put(`/floatingips/${floating}`, { floatingip: { port_id: port } }),
    on: ['floating', 'port', 'router'],
  },
  'a forwarded port': {
    table: 'port_forwarding',
    make: ({ floating, port }) =>
      me.post(`/floatingips/${floating}/port_forwardings`, {
        port_forwarding: { protocol: 'tcp', internal_port_id: port, external_port: 80, internal_port: 80 },
      }),
    on: ['floating', 'port'],
  },
  'a router': {
    table: 'router',
    make: ({ flavor }) => admin.post('/routers', { router: { flavor_id: flavor } }),
    on: ['flavor'],
  },
  'a router’s gateway': {
    table: 'router',
    make: ({ router, outside }) =>
      me.put(`/routers/${router}`, { router: { external_gateway_info: { network_id: outside } } }),
    on: ['outside', 'router'],
  },
  'an interface': {
    table: 'port',
    make: ({ router, second }) => me.put(`/routers/${router}/add_router_interface`, { subnet_id: second }),
    on: ['router', 'second', 'network'],
  },
  'an interface by port': {
    table: 'router',
    make: ({ router, lone }) => me.put(`/routers/${router}/add_router_interface`, { port_id: lone }),
    on: ['lone', 'router'],
  },
  'a subnet': {
    table: 'subnet',
    make: ({ bare, pool }) => me.post('/subnets', { subnet: { network_id: bare, ip_version: 4, subnetpool_id: pool } }),
    on: ['bare', 'pool'],
  },
  'a rule': {
    table: 'security_group_rule',
    make: ({ group, remote }) => ruleOf(group, { remote_group_id: remote }),
    on: ['group', 'remote'],
  },
  'a rule for addresses': {
    table: 'security_group_rule',
    make: ({ group, addresses }) => ruleOf(group, { remote_address_group_id: addresses }),
    on: ['addresses'],
  },
  'a policy of access': {
    table: 'rbac_policy',
    make: ({ outside }) =>
      admin.post('/rbac-policies', {
        rbac_policy: { object_type: 'network', object_id: outside, action: 'access_as_shared', target_tenant: '*' },
      }),
    on: ['outside'],
  },
  'a trunk': {
    table: 'trunk',
    make: ({ port }) => me.post('/trunks', { trunk: { port_id: port } }),
    on: ['port'],
  },
  'a subport': {
    table: 'subport',
    make: ({ trunk, port }) =>
      me.put(`/trunks/${trunk}/add_subports`, {
        sub_ports: [{ port_id: port, segmentation_type: 'vlan', segmentation_id: 7 }],
      }),
    on: ['trunk', 'port'],
  },
  'a network with a policy': {
    table: 'network',
    make: ({ policy }) => me.post('/networks', { network: { qos_policy_id: policy } }),
    on: ['policy'],
  },
  'a rule of a policy': {
    table: 'qos_rule',
    make: ({ policy }) =>
      admin.post(`/qos/policies/${policy}/bandwidth_limit_rules`, { bandwidth_limit_rule: { max_kbps: 1000 } }),
    on: ['policy'],
  },
  'a rule of a label': {
    table: 'metering_label_rule',
    make: ({ label }) =>
      admin.post('/metering/metering-label-rules', {
        metering_label_rule: { metering_label_id: label, direction: 'ingress', remote_ip_prefix: '10.0.0.0/8' },
      }),
    on: ['label'],
  },
  'a pool in a scope': {
    table: 'subnet_pool',
    make: ({ scope }) =>
      me.post('/subnetpools', { subnetpool: { name: 'q', prefixes: ['10.32.0.0/16'], address_scope_id: scope } }),
    on: ['scope'],
  },
  'a local IP': {
    table: 'local_ip',
    make: ({ port }) => me.post('/local_ips', { local_ip: { local_port_id: port } }),
    on: ['port'],
  },
  'where a local IP leads': {
    table: 'local_ip_association',
    make: ({ localIp, port }) =>
      me.post(`/local_ips/${localIp}/port_associations`, { port_association: { fixed_port_id: port } }),
    on: ['localIp', 'port'],
  },
  'a profile of a flavor': {
    table: 'network_flavor_profile',
    make: ({ flavor, further }) =>
      admin.post(`/flavors/${flavor}/service_profiles`, { service_profile: { id: further } }),
    on: ['flavor', 'further'],
  },
};

/** As the helper has it: done, or refused. */
async function tried(answer: Promise<Answer>): Promise<void> {
  const { status, body } = await answer;
  if (status >= 500) throw new Error(JSON.stringify(body));
  if (status >= 400) throw Object.assign(new Error(JSON.stringify(body)), { name: 'CloudError' });
}

testMadeWhileDeleted(between, { world, makers, ends, tried });
