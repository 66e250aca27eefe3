/** The resources of this area, each after those that it refers to. */
import type { ResourceDescriptor } from '../kit/resource.ts';
import { addressGroup } from './address-group/resource.ts';
import { addressScope } from './address-scope/resource.ts';
import { networkFlavor, serviceProfile } from './flavor/resource.ts';
import { floatingIp } from './floating-ip/resource.ts';
import { localIp, localIpAssociation } from './local-ip/resource.ts';
import { meteringLabel, meteringLabelRule } from './metering-label/resource.ts';
import { ndpProxy } from './ndp-proxy/resource.ts';
import { network } from './network/resource.ts';
import { port, portIp, portSecurityGroup } from './port/resource.ts';
import { portForwarding } from './port-forwarding/resource.ts';
import { qosPolicy, qosRule } from './qos-policy/resource.ts';
import { rbacPolicy } from './rbac-policy/resource.ts';
import { reachabilityAssertion } from './reachability-assertion/resource.ts';
import { router } from './router/resource.ts';
import { defaultSecurityGroupRule, securityGroup, securityGroupRule } from './security-group/resource.ts';
import { segment } from './segment/resource.ts';
import { subnet } from './subnet/resource.ts';
import { subnetPool } from './subnet-pool/resource.ts';
import { subport, trunk } from './trunk/resource.ts';

export const networkResources: readonly ResourceDescriptor[] = [
  ...[
    addressScope,
    subnetPool,
    addressGroup,
    serviceProfile,
    networkFlavor,
    qosPolicy,
    qosRule,
    meteringLabel,
    meteringLabelRule,
  ],
  ...[
    network,
    segment,
    subnet,
    securityGroup,
    securityGroupRule,
    defaultSecurityGroupRule,
    port,
    portIp,
    portSecurityGroup,
    router,
    floatingIp,
  ],
  ...[trunk, subport],
  ...[portForwarding, ndpProxy, localIp, localIpAssociation, rbacPolicy, reachabilityAssertion],
];
