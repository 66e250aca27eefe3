/**
 * What a cloud has from its first start: its own id, some flavors, and the external network that floating IPs come from.
 * Made in one transaction together with the cloud's row, so once and never again: what an administrator deletes later
 * stays deleted.
 */

import { CloudError } from '../contract/errors.ts';
import { newId, newOrderedId } from '../contract/ids.ts';
import { formatIp, parseCidr, parseIp, rangeOf } from './kit/address.ts';
import { cloudActor, type Database, type Tx } from './kit/database/database.ts';
import { json } from './kit/database/schema.ts';
import { share } from './network/rbac-policy/share.ts';

export interface FirstStart {
  cloudId: string;
  region: string;
  /** The name by which hosts map it to a bridge (ovn-bridge-mappings), and its ranges in CIDR form; what is empty is left out. The gateway is the machine's own address in the range. */
  external: { physicalNetwork: string; cidr: string; gateway: string; cidr6: string; gateway6: string };
}

const flavors = [
  { name: 'm1.tiny', vcpus: 1, memory_mib: 192, disk_gib: 1 },
  { name: 'm1.small', vcpus: 1, memory_mib: 2048, disk_gib: 20 },
  { name: 'm1.medium', vcpus: 2, memory_mib: 4096, disk_gib: 40 },
  { name: 'm1.large', vcpus: 4, memory_mib: 8192, disk_gib: 80 },
];

/** Answers true when this was the first start. */
export async function bootstrapCloud(database: Database, options: FirstStart): Promise<boolean> {
  return database.transaction(cloudActor, async (tx) => {
    const made = await tx
      .insertInto('cloud')
      .values({ id: options.cloudId, region: options.region })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst();
    if (made.numInsertedOrUpdatedRows === 0n) return false;
    await tx
      .insertInto('flavor')
      .values(flavors.map((flavor, index) => ({ id: newOrderedId(), flavor_id: String(index + 1), ...flavor })))
      .execute();
    await createExternalNetwork(tx, options);
    return true;
  });
}

/** The first administrator's project owns it. */
async function createExternalNetwork(tx: Tx, { external }: FirstStart): Promise<void> {
  const ranges = [
    { ip_version: 4 as const, cidr: external.cidr, gateway_ip: external.gateway },
    { ip_version: 6 as const, cidr: external.cidr6, gateway_ip: external.gateway6 },
  ].filter(({ cidr }) => cidr !== '');
  if (ranges.length === 0 || external.physicalNetwork === '') return;
  const { id: projectId } = await tx
    .selectFrom('project')
    .innerJoin('domain', 'domain.id', 'project.domain_id')
    .select('project.id')
    .where('domain.is_default', '=', true)
    .orderBy('project.created_at')
    .orderBy('project.id')
    .limit(1)
    .executeTakeFirstOrThrow();
  const networkId = newId();
  await tx
    .insertInto('network')
    .values({
      id: networkId,
      project_id: projectId,
      name: 'external',
      external: true,
      is_default: true,
      mtu: 1500,
      provider_network_type: 'flat',
      provider_physical_network: external.physicalNetwork,
    })
    .execute();
  await share(tx, 'network', [{ id: networkId, project_id: projectId }], 'access_as_external');
  for (const range of ranges) {
    await tx
      .insertInto('subnet')
      .values({
        id: newId(),
        project_id: projectId,
        network_id: networkId,
        name: `external-v${range.ip_version}`,
        enable_dhcp: false,
        allocation_pools: json([poolAfter(range.gateway_ip, range.cidr)]),
        ...range,
      })
      .execute();
  }
}

/** Everything behind the gateway; in IPv4 the broadcast address is left out. */
function poolAfter(gateway: string, cidr: string): { start: string; end: string } {
  const [range, ip] = [parseCidr(cidr), parseIp(gateway)];
  if (!range || !ip) throw new CloudError('invalid', 'external_range_malformed', { cidr, gateway });
  const last = rangeOf(range).last - (range.version === 4 ? 1n : 0n);
  return { start: formatIp(ip.version, ip.value + 1n), end: formatIp(ip.version, last) };
}
