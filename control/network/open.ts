/**
 * The network opens itself: all of its services on one database, which asks it before the commit of what changes networks. They hold no state
 * of their own.
 */
import type { Database } from '../kit/database/database.ts';
import { TagService } from '../kit/tags.ts';
import { AddressGroupService } from './address-group/service.ts';
import { AddressScopeService } from './address-scope/service.ts';
import { ensureTopology } from './auto-topology/build.ts';
import { AutoTopologyService } from './auto-topology/service.ts';
import { NetworkFlavorService } from './flavor/service.ts';
import { FloatingIpService } from './floating-ip/service.ts';
import { NetworkInventory } from './inventory.ts';
import { LocalIpService } from './local-ip/service.ts';
import { MeterService } from './meter/index.ts';
import { MeteringLabelService } from './metering-label/service.ts';
import { NdpProxyService } from './ndp-proxy/service.ts';
import { NetworkService } from './network/service.ts';
import { PortService } from './port/service.ts';
import { PortForwardingService } from './port-forwarding/service.ts';
import { QosPolicyService } from './qos-policy/service.ts';
import { NetworkQuotaService } from './quota.ts';
import { RbacPolicyService } from './rbac-policy/service.ts';
import { ReachabilityService } from './reachability/index.ts';
import { decideUndecided, ReachabilityAssertionService } from './reachability-assertion/index.ts';
import { RouterService } from './router/service.ts';
import { DefaultSecurityGroupRuleService } from './security-group/default-rule-service.ts';
import { SecurityGroupService } from './security-group/service.ts';
import { SegmentService } from './segment/service.ts';
import { SubnetService } from './subnet/service.ts';
import { SubnetPoolService } from './subnet-pool/service.ts';
import { TrunkService } from './trunk/service.ts';

export function openNetwork(options: { database: Database }) {
  options.database.decideBeforeCommit(decideUndecided);
  return {
    networks: new NetworkService(options),
    segments: new SegmentService(options),
    subnets: new SubnetService(options),
    subnetPools: new SubnetPoolService(options),
    addressGroups: new AddressGroupService(options),
    autoTopologies: new AutoTopologyService(options),
    flavors: new NetworkFlavorService(options),
    addressScopes: new AddressScopeService(options),
    ports: new PortService({ ...options, autoNetwork: ensureTopology }),
    routers: new RouterService(options),
    floatingIps: new FloatingIpService(options),
    trunks: new TrunkService(options),
    portForwardings: new PortForwardingService(options),
    ndpProxies: new NdpProxyService(options),
    localIps: new LocalIpService(options),
    defaultSecurityGroupRules: new DefaultSecurityGroupRuleService(options),
    securityGroups: new SecurityGroupService(options),
    reachability: new ReachabilityService(options),
    reachabilityAssertions: new ReachabilityAssertionService(options),
    meteringLabels: new MeteringLabelService(options),
    meters: new MeterService(options),
    rbacPolicies: new RbacPolicyService(options),
    qosPolicies: new QosPolicyService(options),
    tags: new TagService(options),
    quotas: new NetworkQuotaService(options),
    inventory: new NetworkInventory(options),
  };
}
