/** Every resource of the cloud, each after those that it refers to. A new one is one line here; see docs/add-a-resource.md. */
import { aggregate } from './compute/aggregate/resource.ts';
import { hostStandby } from './compute/consolidation/resource.ts';
import { flavor } from './compute/flavor/resource.ts';
import { keyPair } from './compute/key-pair/resource.ts';
import { reservePolicy } from './compute/placement/resource.ts';
import { hostBmc, hostPowerOff } from './compute/power/resource.ts';
import { server, serverAbsence } from './compute/server/resource.ts';
import { serverGroup } from './compute/server-group/resource.ts';
import { serverMigration } from './compute/server-migration/resource.ts';
import { host } from './host/resource.ts';
import { hostToken } from './host/token/resource.ts';
import { identityResources } from './identity/resources.ts';
import { metadefNamespace } from './image/metadef/resource.ts';
import { image, imageMember } from './image/resource.ts';
import { accountedIncarnation } from './kit/database/resource.ts';
import { operation } from './kit/operation/resource.ts';
import { quota, userQuota } from './kit/quota/resource.ts';
import type { ResourceDescriptor, Usage, UserUsage } from './kit/resource.ts';
import { networkResources } from './network/resources.ts';
import { container, objectDisk } from './object/resource.ts';
import { storageResources } from './storage/resources.ts';

export const resources: readonly ResourceDescriptor[] = [
  ...[accountedIncarnation, operation],
  ...identityResources,
  ...[quota, userQuota],
  ...[host, hostToken],
  ...[image, imageMember, metadefNamespace],
  ...[objectDisk, container],
  ...networkResources,
  ...[hostBmc, hostPowerOff, hostStandby, reservePolicy],
  ...[aggregate, flavor, keyPair, serverGroup, server, serverMigration, serverAbsence],
  ...storageResources,
];

/** Everything that counts against quota. */
export const usage: Usage = Object.assign({}, ...resources.map((resource) => resource.usage ?? {}));

/** What of it one user may be given less of than their project has. */
export const userUsage: UserUsage = Object.assign({}, ...resources.map((resource) => resource.userUsage ?? {}));
