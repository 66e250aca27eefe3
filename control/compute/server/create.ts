/**
 * Creation of servers: the one transaction that decides. Reads flavor, key and image, counts quota, writes servers,
 * operations and jobs, allocates ports; all of it or nothing, also for several servers at once.
 */

import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { CloudError, hasReason } from '../../../contract/errors.ts';
import { serverLimits } from '../../../contract/host/limits.ts';
import { newOrderedId, type ServerId } from '../../../contract/ids.ts';
import { fileFormat } from '../../image/index.ts';
import { actorOf, type Caller, isAdmin, requireAdmin, requireProjectMember } from '../../kit/caller.ts';
import { type Tx, withCommit } from '../../kit/database/database.ts';
import { quotaLimits } from '../../kit/quota/limits.ts';
import { lockQuota, type Quota, requireQuota, timesWithin } from '../../kit/quota/quota.ts';
import type { ServerPortsWish } from '../../network/port/server-ports.ts';
import type { FlavorRow } from '../flavor/index.ts';
import { hardwareOf, requireAbleHost, type ServerHardware } from '../hardware/index.ts';
import type { PlacementPolicy } from '../placement/index.ts';
import { lockServerGroup } from '../server-group/index.ts';
import { type BootSource, planVolumes, type ServerVolumeWish } from './create-volumes.ts';
import type { BootImage } from './dependencies.ts';
import { mappedVolumes } from './image-mapping.ts';
import { localDisksOf, localGib, requireDiskBuses } from './local-disks.ts';
import { checkPersonality } from './personality.ts';
import { server as descriptor } from './resource.ts';
import { hostnameFrom } from './server.ts';
import type { FlavorSnapshot, KeySnapshot, LocalDisk, ServerImage } from './snapshots.ts';
import type { NewServer } from './store.ts';
import type { ServerWish } from './wish.ts';
import { type CreateDependencies, writeServers } from './write-servers.ts';

export interface CreatedServers {
  ids: ServerId[];
  reservationId: string;
}

interface Ingredients {
  flavor: FlavorRow | null;
  key: KeySnapshot | null;
  host_id: string | null;
  zone_known: boolean;
}

const gib = 1024 ** 3;

/** @throws CloudError `invalid`, `forbidden`, `conflict`, `quota_exceeded` */
export async function createServers(
  deps: CreateDependencies,
  caller: Caller,
  wish: ServerWish,
): Promise<CreatedServers> {
  try {
    return await decide(deps, caller, wish);
  } catch (error) {
    // An image without bytes may name volumes to boot from; that is asked only of one that is no disk.
    const volumes = hasReason(error, 'image_not_a_disk') && (await volumesOfImage(deps, caller, wish));
    if (!volumes) throw error;
    return decide(deps, caller, { ...wish, imageId: null, volumes: [...volumes, ...wish.volumes] });
  }
}

async function volumesOfImage(
  { images }: CreateDependencies,
  caller: Caller,
  { imageId }: ServerWish,
): Promise<ServerVolumeWish[] | undefined> {
  return imageId === null ? undefined : mappedVolumes((await images.show(caller, imageId)).owner_properties);
}

async function decide(deps: CreateDependencies, caller: Caller, wish: ServerWish): Promise<CreatedServers> {
  const projectId = requireProjectMember(caller, 'create a server');
  if (wish.requestedHost !== null) requireAdmin(caller, 'create a server on a host of one’s choice');
  checkCounts(wish);
  const actor = actorOf(caller);
  const { made, ...created } = await deps.database.transaction(actor, async (tx) => {
    // All that is read travels together, then all that is written: round trips are most of what a creation takes.
    const [found, image, quota, group, plan] = await Promise.all([
      ingredients(tx, caller, wish),
      wish.imageId === null ? null : deps.images.findForServer(tx, caller, wish.imageId),
      lockQuota(tx, projectId, descriptor.usage, { userId: caller.userId, usage: descriptor.userUsage }),
      wish.serverGroup === null ? {} : lockServerGroup(tx, projectId, wish.serverGroup),
      deps.ports.planServerPorts(tx, caller, portsWish(wish)),
    ]);
    const flavor = requireIngredients(wish, found);
    const volumes = await planVolumes(tx, deps, caller, { volumes: wish.volumes, count: wish.maxCount });
    const properties = image?.owner_properties ?? volumes.boot?.properties ?? {};
    const hardware = hardwareOf(properties, flavor);
    await requireAbleHost(tx, hardware, found.host_id);
    const diskGib = image ? diskFor(flavor, image) : diskBeside(flavor, volumes.boot);
    const localDisks = localDisksFor(wish, flavor, hardware);
    await checkMetadata(tx, projectId, wish.metadata);
    await checkPersonality(tx, projectId, wish.files);
    const count = countWithinQuota({ ...quota, ...group }, wish, flavor);
    const reservationId = `r-${randomBytes(5).toString('hex').slice(0, 8)}`;
    const configDrive = needsConfigDrive(wish, properties, plan);
    const all = {
      ...{ caller, projectId, wish, flavor, hardware, image, found },
      ...{ diskGib, localDisks, reservationId, configDrive, placementPolicy: deps.placementPolicy ?? 'spread' },
    };
    const servers = Array.from({ length: count }, (_, index) => newServer(all, index));
    const made = await writeServers(deps, tx, { caller, wish, servers, ports: plan, volumes });
    return withCommit(Promise.all(made.last).then(() => ({ ids: made.ids, reservationId, made: made.unplaced })));
  });
  deps.created?.(made);
  return created;
}

function localDisksFor(wish: ServerWish, flavor: FlavorRow, { diskBus }: ServerHardware): LocalDisk[] {
  requireDiskBuses(diskBus, wish.diskBuses);
  return localDisksOf(flavor, wish.localDisks);
}

interface ServerParts {
  caller: Caller;
  projectId: string;
  wish: ServerWish;
  flavor: FlavorRow;
  hardware: ServerHardware;
  diskGib: number;
  localDisks: LocalDisk[];
  image: BootImage | null;
  found: Ingredients;
  reservationId: string;
  configDrive: boolean;
  placementPolicy: PlacementPolicy;
}

/**
 * Asked for, or the only way to what the guest shall know: cloud-init 22.4.2 asks the metadata service at its IPv4 address only, and
 * writes files (personality) that it finds on a config drive only.
 */
const needsConfigDrive = (
  wish: ServerWish,
  properties: BootSource['properties'],
  plan: { withoutIpv4: boolean },
): boolean =>
  wish.configDrive || wish.files.length > 0 || plan.withoutIpv4 || properties.img_config_drive === 'mandatory';

function newServer(parts: ServerParts, index: number) {
  const { wish, flavor, image, found, localDisks } = parts;
  const id = newOrderedId<ServerId>();
  const name = wish.maxCount > 1 ? `${wish.name}-${index + 1}` : wish.name;
  return {
    id,
    project_id: parts.projectId,
    user_id: parts.caller.userId,
    name,
    description: wish.description,
    hostname: wish.hostname ?? hostnameFrom(name, id),
    image_id: image?.id ?? null,
    image: image && imageSnapshot(image),
    flavor_id: flavor.id,
    flavor: flavorSnapshot(flavor),
    vcpus: flavor.vcpus,
    memory_mib: flavor.memory_mib,
    disk_gib: parts.diskGib,
    local_disks: localDisks,
    local_gib: localGib(localDisks),
    root_tag: wish.rootTag,
    key_name: wish.keyName,
    keys: found.key ? [found.key] : [],
    config_drive: parts.configDrive,
    metadata: wish.metadata,
    tags: wish.tags,
    availability_zone: wish.availabilityZone,
    requested_host_id: found.host_id,
    server_group_id: wish.serverGroup,
    same_host: noneAsNull(wish.sameHost),
    different_host: noneAsNull(wish.differentHost),
    access_ipv4: wish.accessIpv4,
    access_ipv6: wish.accessIpv6,
    disk_config: wish.diskConfig,
    reservation_id: parts.reservationId,
    launch_index: index,
    hardware: parts.hardware,
    boot_roles: [...parts.caller.roles].sort(),
    placement_policy: wish.placementPolicy ?? parts.placementPolicy,
  } satisfies NewServer;
}

const noneAsNull = (ids: string[]) => (ids.length > 0 ? ids : null);

function checkCounts(wish: ServerWish): void {
  if (wish.minCount > wish.maxCount)
    throw new CloudError('invalid', 'server_counts_reversed', { min_count: wish.minCount, max_count: wish.maxCount });
  if (wish.maxCount === 1) return;
  if (wish.hostname !== null) {
    throw new CloudError('invalid', 'one_hostname_for_many_servers', {});
  }
  if (wish.ports.some((port) => port.portId !== undefined)) {
    throw new CloudError('invalid', 'one_port_for_many_servers', {});
  }
  if (wish.ports.some((port) => port.fixedIp !== undefined)) {
    throw new CloudError('invalid', 'one_fixed_ip_for_many_servers', {});
  }
}

async function ingredients(tx: Tx, caller: Caller, wish: ServerWish): Promise<Ingredients> {
  const { rows } = await sql<Ingredients>`select
    (select to_jsonb(f) from flavor f where f.flavor_id = ${wish.flavor}
      and (f.public or ${isAdmin(caller)} or exists (select from flavor_access a
        where a.flavor_id = f.id and a.project_id = ${caller.projectId}::uuid))) as flavor,
    (select jsonb_build_object('name', k.name, 'public_key', k.public_key, 'type', k.type) from key_pair k
      where k.user_id = ${caller.userId} and k.name = ${wish.keyName}::text) as key,
    (select id from host where name = ${wish.requestedHost}::text) as host_id,
    (${wish.availabilityZone}::text is null
      or exists (select from host where availability_zone = ${wish.availabilityZone}::text)) as zone_known`.execute(tx);
  return rows[0]!;
}

function requireIngredients(wish: ServerWish, found: Ingredients): FlavorRow {
  const { flavor } = found;
  if (!flavor || flavor.disabled) throw new CloudError('invalid', 'flavor_not_found', { id: wish.flavor });
  if (wish.keyName !== null && !found.key) throw new CloudError('invalid', 'key_pair_unknown', { name: wish.keyName });
  if (wish.requestedHost !== null && found.host_id === null) {
    throw new CloudError('invalid', 'host_not_found', { id: wish.requestedHost });
  }
  if (!found.zone_known)
    throw new CloudError('invalid', 'availability_zone_unknown', { zone: String(wish.availabilityZone) });
  return flavor;
}

/** The guest's disk; a flavor with disk 0 takes the image's own size. Refuses an image that does not fit the flavor. */
export function diskFor(flavor: Pick<FlavorRow, 'memory_mib' | 'disk_gib'>, image: BootImage): number {
  if (image.disk_format === null) {
    throw new CloudError('invalid', 'image_not_bootable', { id: image.id, disk_format: image.disk_format });
  }
  if (flavor.memory_mib < image.min_memory_mib) {
    throw new CloudError('invalid', 'flavor_memory_too_small', {
      memory_mib: flavor.memory_mib,
      minimum_mib: image.min_memory_mib,
    });
  }
  const needed = image.virtual_size_bytes ?? image.size_bytes ?? 0;
  if (flavor.disk_gib === 0) return Math.max(1, Math.ceil(needed / gib), image.min_disk_gib);
  if (flavor.disk_gib < image.min_disk_gib) {
    throw new CloudError('invalid', 'flavor_disk_below_minimum', {
      disk_bytes: flavor.disk_gib * gib,
      minimum_bytes: image.min_disk_gib * gib,
    });
  }
  if (flavor.disk_gib * gib < needed) {
    throw new CloudError('invalid', 'image_too_large_for_flavor', {
      disk_bytes: flavor.disk_gib * gib,
      image_bytes: needed,
    });
  }
  return flavor.disk_gib;
}

/** One that boots from a volume has no disk of its own. */
function diskBeside(flavor: Pick<FlavorRow, 'memory_mib'>, boot: BootSource | null): number {
  if (!boot) throw new CloudError('invalid', 'nothing_to_boot_from', {});
  if (flavor.memory_mib < boot.minMemoryMib) {
    const fields = { memory_mib: flavor.memory_mib, minimum_mib: boot.minMemoryMib };
    throw new CloudError('invalid', 'flavor_memory_too_small', fields);
  }
  return 0;
}

export const imageSnapshot = (image: BootImage): ServerImage => ({
  format: fileFormat({ ...image, disk_format: image.disk_format! }),
  size_bytes: image.size_bytes ?? 0,
  sha256: image.sha256,
});

export const flavorSnapshot = (flavor: FlavorRow): FlavorSnapshot => ({
  id: flavor.flavor_id,
  name: flavor.name,
  vcpus: flavor.vcpus,
  memory_mib: flavor.memory_mib,
  disk_gib: flavor.disk_gib,
  ephemeral_gib: flavor.ephemeral_gib,
  swap_mib: flavor.swap_mib,
  extra_specs: flavor.extra_specs,
});

/** @throws CloudError `quota_exceeded` when a server would have more items than its project allows */
export async function checkMetadata(tx: Tx, projectId: string, metadata: Record<string, string>): Promise<void> {
  const wanted = Object.keys(metadata).length;
  if (wanted === 0) return;
  if (wanted > serverLimits.metadataItems) {
    throw new CloudError('invalid', 'too_many_metadata_items', { maximum: serverLimits.metadataItems });
  }
  const limit = (await quotaLimits(tx, projectId)).server_metadata_items ?? -1;
  if (limit >= 0 && wanted > limit) {
    throw new CloudError('quota_exceeded', 'quota_exceeded', {
      resource: 'server_metadata_items',
      limit,
      used: 0,
      wanted,
    });
  }
}

/** As many as were asked for at most, at least min_count: what the quota leaves. @throws CloudError `quota_exceeded` */
function countWithinQuota(quota: Quota, wish: ServerWish, flavor: FlavorRow): number {
  const each = { servers: 1, vcpus: flavor.vcpus, memory_mib: flavor.memory_mib, server_group_members: 1 };
  const count = Math.min(wish.maxCount, timesWithin(quota, each));
  if (count >= wish.minCount) return count;
  const wanted = Object.entries(each).map(([resource, amount]) => [resource, amount * wish.minCount]);
  requireQuota(quota, Object.fromEntries(wanted));
  return wish.minCount;
}

const portsWish = (wish: ServerWish): ServerPortsWish => ({
  requests: wish.ports,
  securityGroups: wish.securityGroups,
  automatic: wish.automatic,
});
