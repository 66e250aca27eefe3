/** OpenStack Networking API v2.0 (Neutron's) over control/network and its neighbours. Translates, never decides. */
import type { FastifyRequest } from 'fastify';

import type { TagService } from '../../../control/kit/tags.ts';
import type { AddressGroupService } from '../../../control/network/address-group/service.ts';
import type { AddressScopeService } from '../../../control/network/address-scope/service.ts';
import type { AutoTopologyService } from '../../../control/network/auto-topology/service.ts';
import type { NetworkFlavorService } from '../../../control/network/flavor/service.ts';
import type { FloatingIpService } from '../../../control/network/floating-ip/service.ts';
import type { NetworkInventory } from '../../../control/network/inventory.ts';
import type { LocalIpService } from '../../../control/network/local-ip/service.ts';
import type { MeteringLabelService } from '../../../control/network/metering-label/service.ts';
import type { NdpProxyService } from '../../../control/network/ndp-proxy/service.ts';
import type { NetworkService } from '../../../control/network/network/service.ts';
import type { PortService } from '../../../control/network/port/service.ts';
import type { PortForwardingService } from '../../../control/network/port-forwarding/service.ts';
import type { QosPolicyService } from '../../../control/network/qos-policy/service.ts';
import type { NetworkQuotaService } from '../../../control/network/quota.ts';
import type { RbacPolicyService } from '../../../control/network/rbac-policy/service.ts';
import type { RouterService } from '../../../control/network/router/service.ts';
import type { DefaultSecurityGroupRuleService } from '../../../control/network/security-group/default-rule-service.ts';
import type { SecurityGroupService } from '../../../control/network/security-group/service.ts';
import type { SegmentService } from '../../../control/network/segment/service.ts';
import type { SubnetService } from '../../../control/network/subnet/service.ts';
import type { SubnetPoolService } from '../../../control/network/subnet-pool/service.ts';
import type { TrunkService } from '../../../control/network/trunk/service.ts';
import { Boundary } from '../../boundary/boundary.ts';
import type { Sentences } from '../../boundary/contract.ts';
import { readJson } from '../../boundary/json.ts';
import { plainSentence } from '../../boundary/sentences.ts';
import type { Dialect } from '../../server.ts';
import { type Authenticator, authenticateAll } from '../common/authenticate.ts';
import { speakFaults } from '../common/faults.ts';
import { addAddressGroupVerbs, addressGroups } from './address-groups.ts';
import { addressScopes } from './address-scopes.ts';
import * as a from './answers.ts';
import { badRequest } from './attributes.ts';
import { addAutoTopology } from './auto-topology.ts';
import { defaultSecurityGroupRules } from './default-security-group-rules.ts';
import { addExtensions } from './extensions.ts';
import { invalidInput, neutronFaults } from './fault.ts';
import { addFlavorVerbs, flavors, serviceProfiles } from './flavors.ts';
import { floatingIps } from './floating-ips.ts';
import { addInventory } from './inventory.ts';
import { addLocalIpAssociations, localIps } from './local-ips.ts';
import { meteringLabelRules, meteringLabels } from './metering-labels.ts';
import { ndpProxies } from './ndp-proxies.ts';
import { networks } from './networks.ts';
import { addPortForwardings } from './port-forwardings.ts';
import { ports } from './ports.ts';
import { qosPolicies } from './qos-policies.ts';
import { addQosRules } from './qos-rules.ts';
import { addQuotas } from './quotas.ts';
import { rbacPolicies } from './rbac-policies.ts';
import { addResource, type Resource } from './resource.ts';
import { addRouterVerbs, routers } from './routers.ts';
import { securityGroupRules, securityGroups } from './security-groups.ts';
import { segments } from './segments.ts';
import { addSubnetPoolVerbs, subnetPools } from './subnet-pools.ts';
import { subnets } from './subnets.ts';
import { addTags } from './tags.ts';
import { addTrunkVerbs, trunks } from './trunks.ts';
import { addVersions } from './versions.ts';

export interface NetworkServices {
  networks: NetworkService;
  segments: SegmentService;
  subnets: SubnetService;
  subnetPools: SubnetPoolService;
  addressGroups: AddressGroupService;
  addressScopes: AddressScopeService;
  autoTopologies: AutoTopologyService;
  flavors: NetworkFlavorService;
  ports: PortService;
  defaultSecurityGroupRules: DefaultSecurityGroupRuleService;
  routers: RouterService;
  floatingIps: FloatingIpService;
  trunks: TrunkService;
  portForwardings: PortForwardingService;
  localIps: LocalIpService;
  ndpProxies: NdpProxyService;
  securityGroups: SecurityGroupService;
  rbacPolicies: RbacPolicyService;
  qosPolicies: QosPolicyService;
  meteringLabels: MeteringLabelService;
  tags: TagService;
  quotas: NetworkQuotaService;
  inventory: NetworkInventory;
}

const sentences: Sentences = {
  refuse: (part, fault) =>
    part === 'query'
      ? invalidInput(plainSentence(part, fault))
      : badRequest(`Invalid input: ${plainSentence(part, fault)}`),
  unstorable: (part, why) => (part === 'body' ? badRequest(`Invalid input: ${why}`) : invalidInput(why)),
};

export const networkInfo = {
  title: 'Networking API v2.0',
  version: '2.0',
  description: "OpenStack's Networking API (Neutron's) as Bothy answers it.",
  fault: a.neutronFault,
} as const;

const prefix = '/network';

export function networkDialect(deps: {
  authenticator: Authenticator;
  services: NetworkServices;
  /** As in the catalogue, without the path, e.g. https://cloud.example:8443; default: as the client called. */
  publicUrl?: string;
}): Dialect {
  const { authenticator, services } = deps;
  const baseUrl = (request: FastifyRequest): string =>
    `${deps.publicUrl ?? `${request.protocol}://${request.host}`}${prefix}`;
  const tagged: Resource[] = [
    networks(services.networks),
    subnets(services.subnets),
    subnetPools(services.subnetPools),
    ports(services.ports),
    routers(services.routers),
    floatingIps(services.floatingIps),
    securityGroups(services.securityGroups),
    addressGroups(services.addressGroups),
    qosPolicies(services.qosPolicies),
    trunks(services.trunks),
    localIps(services.localIps),
  ];
  const resources: Resource[] = [
    ...tagged,
    securityGroupRules(services.securityGroups),
    defaultSecurityGroupRules(services.defaultSecurityGroupRules),
    segments(services.segments),
    addressScopes(services.addressScopes),
    rbacPolicies(services.rbacPolicies),
    flavors(services.flavors),
    serviceProfiles(services.flavors),
    meteringLabels(services.meteringLabels),
    meteringLabelRules(services.meteringLabels),
    ndpProxies(services.ndpProxies),
  ];
  return {
    prefix,
    plugin: async (fastify) => {
      speakFaults(fastify, neutronFaults);
      authenticateAll(fastify, authenticator);
      // Neutron never looks at the type of a body, and clients that send none rely on it (neutron-tempest-plugin's updates).
      readJson(fastify, { whatever: true });
      const app = new Boundary(fastify, { sentences });
      addVersions(app, baseUrl, resources);
      for (const resource of resources) addResource(app, baseUrl, resource);
      for (const resource of tagged) addTags(app, services.tags, resource);
      addTags(app, services.tags, qosPolicies(services.qosPolicies), 'policies');
      addTrunkVerbs(app, services.trunks);
      addPortForwardings(app, baseUrl, services.portForwardings);
      addLocalIpAssociations(app, baseUrl, services.localIps);
      addRouterVerbs(app, services.routers);
      addAddressGroupVerbs(app, services.addressGroups);
      addSubnetPoolVerbs(app, services.subnetPools);
      addAutoTopology(app, services.autoTopologies);
      addFlavorVerbs(app, services.flavors);
      addQosRules(app, baseUrl, services.qosPolicies);
      addQuotas(app, services.quotas);
      addInventory(app, services.inventory);
      addExtensions(app);
    },
  };
}
