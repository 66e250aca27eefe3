/** For the test of collections: each that there is, below a policy or a floating IP too, and what is made of it in one request. Not for production use. */
import { newId } from '../../../contract/ids.ts';
import { qosRuleListing } from '../../../control/network/qos-policy/qos-policy.ts';
import { addressGroups } from './address-groups.ts';
import { addressScopes } from './address-scopes.ts';
import { defaultSecurityGroupRules } from './default-security-group-rules.ts';
import { flavors, serviceProfiles } from './flavors.ts';
import { floatingIps } from './floating-ips.ts';
import { localIps } from './local-ips.ts';
import { meteringLabelRules, meteringLabels } from './metering-labels.ts';
import { ndpProxies } from './ndp-proxies.ts';
import { proxied } from './ndp-proxies-testing.ts';
import { networks } from './networks.ts';
import { portForwardings } from './port-forwardings.ts';
import { ports } from './ports.ts';
import { qosPolicies } from './qos-policies.ts';
import { ruleKinds } from './qos-rule-kinds.ts';
import { rbacPolicies } from './rbac-policies.ts';
import type { Resource } from './resource.ts';
import { routers } from './routers.ts';
import { securityGroupRules, securityGroups } from './security-groups.ts';
import { segments } from './segments.ts';
import { subnetPools } from './subnet-pools.ts';
import { subnets } from './subnets.ts';
import { type Me, newNetwork, newSubnet } from './testing.ts';
import { trunks } from './trunks.ts';

const none = undefined as never;

/** Each type, and three of it that differ in what lists are ordered and chosen by. */
const types: [resource: Resource, three: (me: Me, stranger: () => Me) => Promise<object[]>][] = [
  [networks(none), async () => named.map((name, n) => ({ name, description: name, mtu: 1300 + n }))],
  [
    subnets(none),
    async (me) => {
      const network_id = await newNetwork(me);
      return named.map((name, n) => ({ name, description: name, network_id, ip_version: 4, cidr: `10.${n}.0.0/24` }));
    },
  ],
  [subnetPools(none), async () => named.map((name, n) => ({ name, description: name, prefixes: [`10.${n}.0.0/16`] }))],
  [
    ports(none),
    async (me) => {
      const network_id = await newNetwork(me);
      return named.map((name) => ({ name, description: name, network_id, device_id: `of ${name}` }));
    },
  ],
  [routers(none), async () => named.map((name, n) => ({ name, description: name, admin_state_up: n > 0 }))],
  [
    floatingIps(none),
    async (me) => {
      const floating_network_id = await newNetwork(me, { 'router:external': true });
      await newSubnet(me, floating_network_id, '192.0.2.0/24');
      return named.map((description) => ({ description, floating_network_id }));
    },
  ],
  [securityGroups(none), async () => named.map((name) => ({ name, description: name }))],
  [
    securityGroupRules(none),
    async (me) => {
      const made = await me.post('/security-groups', { security_group: { name: 'of rules' } });
      const security_group_id = made.body.security_group.id;
      return named.map((description, n) => ({
        ...{ description, security_group_id, direction: 'ingress', protocol: 'tcp' },
        ...{ port_range_min: 80 + n, port_range_max: 80 + n },
      }));
    },
  ],
  [
    defaultSecurityGroupRules(none),
    async () =>
      named.map((description, n) => ({
        ...{ description, direction: 'ingress', protocol: 'udp', used_in_default_sg: n > 0 },
        ...{ port_range_min: 80 + n, port_range_max: 80 + n },
      })),
  ],
  [
    addressGroups(none),
    async () => named.map((name, n) => ({ name, description: name, addresses: [`10.${n}.0.0/24`] })),
  ],
  [
    trunks(none),
    async (me) => {
      const network_id = await newNetwork(me);
      const ports = (await me.post('/ports', { ports: named.map(() => ({ network_id })) })).body.ports;
      return named.map((name, n) => ({ name, description: name, port_id: ports[n].id }));
    },
  ],
  [
    localIps(none),
    async (me) => {
      const network_id = await newNetwork(me);
      await newSubnet(me, network_id, '10.0.0.0/24');
      return named.map((name, n) => ({
        ...{ name, description: name, network_id, ip_mode: n > 0 ? 'translate' : 'passthrough' },
      }));
    },
  ],
  [
    ndpProxies(none),
    async (me) => {
      const { router: router_id, newPort } = await proxied(me);
      const ports = [await newPort(), await newPort(), await newPort()];
      return named.map((name, n) => ({ name, description: name, router_id, port_id: ports[n] }));
    },
  ],
  [flavors(none), async () => named.map((name) => ({ name, description: name, service_type: 'L3_ROUTER_NAT' }))],
  [serviceProfiles(none), async () => named.map((name) => ({ description: name, metainfo: name }))],
  [qosPolicies(none), async () => named.map((name, n) => ({ name, description: name, is_default: n === 1 }))],
  [meteringLabels(none), async () => named.map((name, n) => ({ name, description: name, shared: n === 1 }))],
  [
    meteringLabelRules(none),
    async (me) => {
      const made = await me.post('/metering/metering-labels', { metering_label: { name: 'of rules' } });
      const { id: metering_label_id } = made.body.metering_label;
      return named.map((_, n) => ({
        ...{ metering_label_id, direction: n > 0 ? 'ingress' : 'egress', excluded: n > 1 },
        ...(n > 0 ? { source_ip_prefix: `10.${n}.0.0/24` } : { remote_ip_prefix: '10.0.0.7/24' }),
      }));
    },
  ],
  [
    segments(none),
    async (me) => {
      const network_id = await newNetwork(me);
      const id = newId();
      return named.map((name, n) => ({
        ...{ name, description: name, network_id, network_type: 'geneve' },
        segmentation_id: 1 + ((Number.parseInt(id.slice(-5), 16) * 3 + n) % 0xffffff),
      }));
    },
  ],
  [addressScopes(none), async () => named.map((name, n) => ({ name, ip_version: n > 0 ? 4 : 6 }))],
  [
    rbacPolicies(none),
    async (me, stranger) => {
      const object_id = await newNetwork(me);
      const targets = await Promise.all(named.map(async () => (await projectOf(stranger())).tenant_id));
      return targets.map((target_tenant) => ({
        ...{ object_type: 'network', object_id, action: 'access_as_shared', target_tenant },
      }));
    },
  ],
];
const named = ['b', 'c', 'a'];

/** A collection, and what is made of it in one request. `stranger`: somebody else each time. */
export type Kind = (me: Me, stranger: () => Me) => Promise<[resource: Resource, wishes: object[]]>;

export const kinds: Kind[] = [
  ...types.map(
    ([resource, three]): Kind =>
      async (me, stranger) => [resource, await three(me, stranger)],
  ),
  async (me) => {
    const floating_network_id = await newNetwork(me, { 'router:external': true });
    await newSubnet(me, floating_network_id, '198.51.100.0/24');
    const network_id = await newNetwork(me);
    const { id: subnet_id } = await newSubnet(me, network_id, '10.0.0.0/24');
    const { router } = (
      await me.post('/routers', { router: { external_gateway_info: { network_id: floating_network_id } } })
    ).body;
    await me.put(`/routers/${router.id}/add_router_interface`, { subnet_id });
    const { id: internal_port_id } = (await me.post('/ports', { port: { network_id } })).body.port;
    const { id } = (await me.post('/floatingips', { floatingip: { floating_network_id } })).body.floatingip;
    const wishes = named.map((description, n) => ({
      ...{ description, protocol: 'tcp', internal_port_id, internal_port: 80 + n, external_port: 8000 + n },
    }));
    return [portForwardings(none, id), wishes];
  },
  // Of each kind a policy has one for each direction.
  ...ruleKinds.map(
    (kind): Kind =>
      async (me) => {
        const { id } = (await me.post('/qos/policies', { policy: { name: 'of rules' } })).body.policy;
        const limit = { bandwidth_limit: 'max_kbps', minimum_bandwidth: 'min_kbps', dscp_marking: undefined }[
          kind.kind
        ];
        const wishes = limit
          ? ['egress', 'ingress'].map((direction, n) => ({ direction, [limit]: 2000 - n }))
          : [{ dscp_mark: 10 }];
        const path = `qos/policies/${id}/${kind.plural}`;
        return [{ ...kind, path, listing: qosRuleListing } as unknown as Resource, wishes];
      },
  ),
];

const projectOf = async (me: Me): Promise<{ tenant_id: string }> =>
  (await me.post('/networks', { network: {} })).body.network;
