/** Every resource of the cloud, each after those that it refers to. A new one is one line here; see docs/add-a-resource.md. */
import { flavor } from './compute/flavor/resource.ts';
import { keyPair } from './compute/key-pair/resource.ts';
import { server, serverAbsence } from './compute/server/resource.ts';
import { host } from './host/resource.ts';
import { identityResources } from './identity/resources.ts';
import { image, imageMember } from './image/resource.ts';
import { operation } from './kit/operation/resource.ts';
import { quota } from './kit/quota/resource.ts';
import type { ResourceDescriptor, Usage } from './kit/resource.ts';
import { floatingIp } from './network/floating-ip/resource.ts';
import { network } from './network/network/resource.ts';
import { port, portIp, portSecurityGroup } from './network/port/resource.ts';
import { router } from './network/router/resource.ts';
import { securityGroup, securityGroupRule } from './network/security-group/resource.ts';
import { subnet } from './network/subnet/resource.ts';

export const resources: readonly ResourceDescriptor[] = [
  operation,
  ...identityResources,
  quota,
  host,
  ...[image, imageMember],
  ...[network, subnet, securityGroup, securityGroupRule, port, portIp, portSecurityGroup, router, floatingIp],
  ...[flavor, keyPair, server, serverAbsence],
];

/** Everything that counts against quota. */
export const usage: Usage = Object.assign({}, ...resources.map((resource) => resource.usage ?? {}));
