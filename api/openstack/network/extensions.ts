/** Extensions: what of Neutron's API really works here. Clients ask before they use. */
import type { FastifyInstance } from 'fastify';
import { refusal } from '../../../control/network/refusal.ts';

const descriptions: Readonly<Record<string, string>> = {
  agent: 'Hosts of the network, for administrators',
  'allowed-address-pairs': 'Further addresses that a port may use',
  availability_zone: 'Availability zones',
  binding: 'Where a port is bound, for administrators',
  'empty-string-filtering': 'Filters with an empty value',
  'ext-gw-mode': 'Routers with and without source NAT',
  'external-net': 'External networks',
  extra_dhcp_opt: 'DHCP options of a port',
  extraroute: 'Routes of a router',
  'extraroute-atomic': 'Adds and removes single routes of a router',
  'filter-validation': 'Refuses filters that a resource does not have',
  'fip-port-details': 'Details of the port that a floating IP is associated with',
  ip_allocation: 'How a port got its addresses',
  'ip-substring-filtering': 'Ports by a part of their address',
  'net-mtu': 'MTU of a network',
  'net-mtu-writable': 'MTU of a network, chosen by its owner',
  'network-ip-availability': 'Addresses used and free, for administrators',
  pagination: 'Lists in pages',
  'port-security': 'Filters and anti-spoofing of a port, which can be switched off',
  'project-id': 'project_id beside tenant_id',
  provider: 'How a network is carried, for administrators',
  quota_details: 'Quota used and left',
  quotas: 'Quota of a project',
  router: 'Routers and floating IPs',
  'security-group': 'Security groups',
  'security-groups-normalized-cidr': 'The prefix of a rule without host bits',
  sorting: 'Lists in an order',
  'standard-attr-description': 'Descriptions',
  'standard-attr-revisions': 'Revision numbers',
  'standard-attr-tag': 'Tags',
  'standard-attr-timestamp': 'Times of creation and change',
  'stateful-security-group': 'Security groups without connection tracking',
  'subnet-service-types': 'Subnets for devices of some types only',
};

const extensions = Object.entries(descriptions).map(([alias, description]) => ({
  alias,
  name: alias,
  description,
  updated: '2026-01-01T00:00:00-00:00',
  links: [],
}));

export function addExtensions(app: FastifyInstance): void {
  app.get('/v2.0/extensions', async () => ({ extensions }));
  app.get('/v2.0/extensions/:alias', async (request) => {
    const { alias } = request.params as { alias: string };
    const extension = extensions.find((one) => one.alias === alias);
    if (!extension) {
      throw refusal('not_found', 'extensions_not_found', `Extension with alias ${alias.slice(0, 80)} does not exist`);
    }
    return { extension };
  });
}
