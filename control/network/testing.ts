/** Callers and networks for tests. Not for production use. */
import type { ProjectId, UserId } from '../../contract/ids.ts';
import { newId } from '../../contract/ids.ts';
import type { Caller } from '../kit/caller.ts';
import type { Database } from '../kit/database/database.ts';
import { testProject } from '../kit/database/testing.ts';
import type { NetworkRow } from './network/network.ts';
import { NetworkService, type NetworkWish } from './network/service.ts';
import { SubnetService } from './subnet/service.ts';

/** A name that meets every quoting mistake on its way. */
export const oddName = '小屋 🏔 "x"; drop';

export function testCaller(roles: string[] = ['member', 'reader'], projectId = newId<ProjectId>()): Caller {
  return {
    requestId: `req-${newId()}`,
    userId: newId<UserId>(),
    userName: oddName,
    userDomainId: newId(),
    projectId,
    projectName: oddName,
    projectDomainId: newId(),
    domainId: null,
    system: false,
    roles: new Set(roles),
    applicationCredential: null,
  };
}

export const testAdmin = (): Caller => testCaller(['admin', 'manager', 'member', 'reader']);

/** A network in the caller's project, which is made if it is not there. @param subnets "cidr", or "cidr mode" for IPv6 with both modes set */
export async function testNetwork(
  database: Database,
  caller: Caller,
  subnets: readonly string[],
  over: NetworkWish = {},
): Promise<NetworkRow & { subnetIds: string[] }> {
  await testProject(database, caller.projectId!);
  const [network] = await new NetworkService({ database }).create(caller, [{ name: oddName, ...over }]);
  const service = new SubnetService({ database });
  const subnetIds: string[] = [];
  for (const text of subnets) {
    const [cidr, mode] = text.split(' ') as [string, 'slaac' | 'dhcpv6-stateful' | undefined];
    const modes = mode ? { ipv6_ra_mode: mode, ipv6_address_mode: mode } : {};
    const ip_version = cidr.includes(':') ? 6 : 4;
    const [made] = await service.create(caller, [
      { network_id: network!.id, name: oddName, cidr, ip_version, ...modes },
    ]);
    subnetIds.push(made!.id);
  }
  return { ...network!, subnetIds };
}
