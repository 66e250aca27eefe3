/** What Nova says of each reason, word for word where clients look for it. */
import type { SentenceTable } from '../../../contract/errors.ts';
import type { ComputeReasons, HostRemovalReasons, UnservedWhy } from '../../../control/compute/reasons.ts';
import type { HostReasons } from '../../../control/host/reasons.ts';
import type { ImageReasons } from '../../../control/image/reasons.ts';
import type { KitReasons } from '../../../control/kit/reasons.ts';
import type { NetworkReasons } from '../../../control/network/reasons.ts';
import type { StorageReasons } from '../../../control/storage/reasons.ts';
import type { ServerVolumeReasons } from '../../../control/storage/server-volume/reasons.ts';
import type { SnapshotReasons, VolumeReasons } from '../../../control/storage/volume/reasons.ts';
import { hostSentences, kitSentences, limitSentences } from '../common/sentences.ts';
import { imageSentences } from '../image/sentences.ts';
import { neutronSentences } from '../network/sentences.ts';
import { storageSentences } from '../volume/sentences.ts';
import { volumeSentences } from '../volume/volume-sentences.ts';

/** All that a call of this dialect may be refused for. */
export type NovaReasons = KitReasons &
  HostReasons &
  ImageReasons &
  NetworkReasons &
  StorageReasons &
  VolumeReasons &
  SnapshotReasons &
  ServerVolumeReasons &
  HostRemovalReasons &
  ComputeReasons;
type Some = Partial<SentenceTable<NovaReasons>>;

/** What Nova calls what we count. */
const novaResource: Readonly<Record<string, string>> = {
  servers: 'instances',
  vcpus: 'cores',
  memory_mib: 'ram',
  server_metadata_items: 'metadata_items',
};
const novaResourceName = (resource: string): string => novaResource[resource] ?? resource;

/** For a quota, e.g. tempest and Horizon look for the sentence's beginning. */
function quotaSentence({ resource, limit, used, wanted }: KitReasons['quota_exceeded']): string {
  if (resource === 'key_pairs') return 'Quota exceeded, too many key pairs.';
  if (resource === 'server_groups') return 'Quota exceeded, too many server groups.';
  if (resource === 'server_group_members') return 'Quota exceeded, too many servers in group';
  if (resource === 'server_metadata_items') return `Maximum number of metadata items exceeds ${limit}`;
  if (resource === 'injected_files') return 'Personality file limit exceeded';
  if (resource === 'injected_file_path_bytes') return 'Personality file path too long';
  if (resource === 'injected_file_content_bytes') return 'Personality file content too long';
  const name = novaResourceName(resource);
  return `Quota exceeded for ${name}: Requested ${wanted}, but already used ${used} of ${limit} ${name}`;
}

const unserved: Readonly<Record<UnservedWhy, string>> = {
  value: 'no machine here is so',
  beside: 'it does not go with what else image and flavor ask for',
  unknown: 'nothing of that name is known here',
  shared_processors: 'the servers of a host share its processors, none has some to itself',
  one_numa_node: 'every server has one NUMA node',
  small_pages: "a server's memory is of small pages, which its host may swap",
  no_encryption: 'neither memory nor local disks are encrypted here',
  no_passthrough: 'no device of a host is given to a server',
  no_device: 'no machine here has that',
  no_kernel: 'a server starts what is on its disk',
  no_host_filters: 'hosts are chosen by their zone, traits, aggregates and room, not by this',
  other_host: 'the host of the server is not so',
  no_card_peak:
    'what passes through a network card is limited to its average, and above that to its burst; there is no peak beside',
  no_cpu_groups: 'no host can limit what a server has of its processors',
  other_engine: 'it is of an engine that is not here; servers are QEMU guests',
};

const staysBehind = {
  attaching: 'it is still on its way to the instance from another host; wait until it is in use, or detach it',
  busy: 'something else is under way with it, try again when it is in use',
  cached: 'it has a cache; retype it to a type without one',
  in_cluster: 'it lies in a Ceph cluster of its host',
  replicated: 'it has a replica on another host; retype it to a type without one',
  branched: 'it has snapshots of what it held before it was reverted or restored; delete them',
} as const;

const servers = {
  server_not_found: ({ id }) => `Instance ${id} could not be found.`,
  server_locked: ({ id }) => `Instance ${id} is locked`,
  server_not_ready: ({ id }) => `Instance ${id} is not ready`,
  server_host_never_reported: ({ id }) => `The host of instance ${id} has never reported`,
  server_state_conflict: ({ id, call, attribute, value }) =>
    `Cannot '${call}' instance ${id} while it is in ${attribute} ${value}`,
  server_never_placed: ({ id, call }) => `Cannot '${call}' instance ${id}: it was never placed on a host`,
  server_without_agent: ({ id }) =>
    `QEMU guest agent is not enabled: the image of instance ${id} has no hw_qemu_guest_agent`,
  server_with_tpm: ({ id, call }) => `Operation '${call}' not supported for vTPM-enabled instance (${id}).`,
  hardware_unserved: ({ of, name, value, why }) =>
    `${of === 'image' ? 'Image property' : 'Flavor extra spec'} '${name}' with the value '${value}' is not supported: ${unserved[why]}`,
  topology_unserved: ({ vcpus }) =>
    `No CPU topology of ${vcpus} vCPUs is as image and flavor ask for sockets, cores and threads`,
  machine_type_unserved: ({ type }) => `Image property 'hw_machine_type': no host has the machine type '${type}'`,
  interface_not_found: ({ id, port }) => `Instance ${id} does not have a port with id ${port}`,
  server_not_on_network: ({ id }) => `Network could not be found for instance ${id}.`,
  server_without_address: ({ id, address }) => `Instance ${id} doesn't have fixed IP '${address}'.`,
  too_many_interfaces: ({ maximum }) => `An instance has at most ${maximum} interfaces`,
  resize_to_same_flavor: 'When resizing, instances must change flavor!',
  resize_to_no_disk: 'Server disk was unable to be resized because: Resize to zero disk flavor is not allowed.',
  resize_of_ephemeral_down: ({ ephemeral_gib }) =>
    `Server disk was unable to be resized because: its ephemeral disks have ${ephemeral_gib} GiB and can not become smaller.`,
  other_disk_bus: ({ wanted, bus }) =>
    `Block Device Mapping is Invalid: disk_bus ${wanted} is not that of the server's disks, ${bus} (image property hw_disk_bus).`,
  more_than_one_swap: 'Block Device Mapping is Invalid: More than one swap drive requested.',
  ephemeral_beyond_flavor:
    'Ephemeral disks requested are larger than the instance type allows. If no size is given in one block device mapping, flavor ephemeral size will be used.',
  swap_beyond_flavor: 'Swap drive requested is larger than instance type allows.',
  resize_of_disk_down: ({ disk_gib }) =>
    `Server disk was unable to be resized because: it has ${disk_gib} GiB and can not become smaller.`,
  attach_network_not_reached: ({ port }) =>
    `Binding failed for port ${port}: the host of the server does not reach the physical network of the port.`,
  attach_bandwidth_exceeded: ({ id }) => `Failed to allocate additional resources to ${id} during interface attach`,
  resize_does_not_fit: ({ id, fix }) =>
    `No valid host was found. The host of instance ${id} has no room for the flavor, and no other can take it over yet. What would help: ${fix}.`,
  not_resized: 'Instance has not been resized.',
  unshelve_in_place: ({ id }) =>
    `Specifying an availability zone or a host when unshelving server "${id}" with status "shelved" is not supported. The server status must be SHELVED_OFFLOADED.`,
  host_not_in_zone: ({ host, zone }) => `Host "${host}" is not in the availability zone "${zone}".`,
  shelved_image_gone: ({ id, image }) =>
    `Cannot 'unshelve' instance ${id}: image ${image}, in which its disk was saved, is deleted`,
  rebuild_image_not_found: 'Cannot find image for rebuild',
  rescue_without_image: ({ id }) =>
    `Instance ${id} cannot be rescued: it was not made from an image, so one must be named`,
  rescue_image_unsupported: ({ id }) => `Requested rescue image '${id}' is not supported`,
  no_other_host: ({ id, why }) =>
    `No valid host was found. ${why ?? `There is no other host that instance ${id} could move to.`}`,
  no_able_host: ({ id }) =>
    `No valid host was found. No other host takes part in such migrations, so instance ${id} stays where it is.`,
  local_volumes: ({ id, volume, why }) =>
    `Migration pre-check error: volume ${volume} of instance ${id} does not go to another host with it: ${staysBehind[why]}.`,
  volumes_moved: ({ id }) =>
    `Instance ${id} has volumes, which have moved with it and hold what was written since: detach them before the resize is reverted, or confirm it and migrate the instance back.`,
  disks_not_shared: ({ id }) =>
    `The disks of instance ${id} are not on shared storage: Shared storage live-migration requires either shared storage or boot-from-volume with no local disks. Ask for block migration.`,
  move_of_medium: ({ id }) =>
    `Migration pre-check error: instance ${id} runs from a medium and has no disk of its own.`,
  move_of_rescued: ({ id }) => `Migration pre-check error: instance ${id} is being rescued.`,
  source_host_away: ({ id }) => `Compute service of the host of instance ${id} is unavailable at this time.`,
  source_host_unable: ({ id }) =>
    `Migration pre-check error: the host of instance ${id} takes no part in migrations. Its software or its QEMU is too old for it.`,
  migration_not_found: ({ id, migration }) => `Migration ${migration} not found for instance ${id}`,
  migration_state: ({ id, migration, status, call }) =>
    `Migration ${migration} state of instance ${id} is ${status}. Cannot ${call} while the migration is in this state.`,
  move_to_same_host: ({ host }) => `Cannot migrate to the host where the server exists: ${host}`,
  host_still_in_use: ({ host }) => `Compute service of ${host} is still in use.`,
  evacuation_unproven: ({ host }) =>
    `Host ${host} is not heard, which does not prove that the server does not run there. Once it is certain that the host is off, set its service forced down and ask again.`,
  evacuation_of_moving: ({ id, kept }) =>
    kept
      ? `Instance ${id} has come from another host, which still has its disks. Revert that first: what is made anew of the image would be all that is left.`
      : `Instance ${id} is on its way to another host, which may have taken it over. Wait until that is decided.`,
  server_counts_reversed: 'min_count must be <= max_count',
  one_hostname_for_many_servers: 'Unable to allocate a single hostname to multiple instances',
  one_port_for_many_servers:
    'Unable to launch multiple instances with a single configured port ID. Please launch your instance one by one with different ports.',
  one_fixed_ip_for_many_servers: 'Invalid fixed IP and max count: a fixed IP address can be given to one server only',
  key_pair_unknown: 'Invalid key_name provided.',
  availability_zone_unknown: 'The requested availability zone is not available',
  image_not_bootable: ({ id, disk_format }) =>
    `Image ${id} is unacceptable: disk format ${disk_format} can't be booted`,
  image_too_large_for_flavor: ({ disk_bytes, image_bytes }) =>
    `Flavor's disk is too small for requested image. Flavor disk is ${disk_bytes} bytes, image is ${image_bytes} bytes.`,
  flavor_disk_below_minimum: ({ disk_bytes, minimum_bytes }) =>
    `Flavor's disk is smaller than the minimum size specified in image metadata. Flavor disk is ${disk_bytes} bytes, minimum size is ${minimum_bytes} bytes.`,
  flavor_memory_too_small: "Flavor's memory is too small for requested image.",
  too_many_metadata_items: ({ maximum }) => `A server can have at most ${maximum} metadata items`,
  too_many_server_tags: ({ maximum }) => `The number of tags exceeded the per-server limit ${maximum}`,
  security_group_not_of_server: ({ name, server }) =>
    `Security group ${name} not associated with the instance ${server}`,
  pattern_refused: ({ pattern }) =>
    `the regular expression '${pattern}' is too long, repeats too much, refers back or looks around`,
  pattern_malformed: 'a filter is no valid regular expression',
} satisfies Some;

const notBrought: Readonly<Record<ServerVolumeReasons['volume_not_brought']['why'], string>> = {
  cached: 'it has a cache: retype it to a type without one',
  replicated: 'it has a replica on another host: retype it to a type without one',
  in_cluster: 'it lies in a Ceph cluster: make an image or a backup of it',
  branched: 'it has snapshots of what it held before it was reverted or restored: delete them',
  host_too_old: 'one of both hosts is of an earlier release, which does not copy volumes',
  host_away: 'its host is away: try again when that is back',
  no_pool: 'no pool there takes it',
};

const serverVolumes = {
  nothing_to_boot_from: 'Missing imageRef attribute',
  volume_backed: ({ id, call }) =>
    call === 'createBackup'
      ? 'Backup is not supported for volume-backed instances.'
      : `Instance ${id} cannot be ${call}d: Cannot ${call} a volume-backed instance`,
  rebuild_to_other_image: ({ image }) =>
    `Image ${image} is unacceptable: Unable to rebuild with a different image for a volume-backed server.`,
  volume_not_brought: ({ id, server, why, said }) =>
    `Invalid volume: volume ${id} is on another host than instance ${server}, and does not come to it: ${said ?? notBrought[why]}`,
  volumes_on_several_hosts: 'Block Device Mapping is Invalid: the volumes are on different hosts.',
  volumes_for_many_servers: 'Cannot attach one or more volumes to multiple instances',
  volume_not_bootable: ({ id }) => `Block Device Mapping is Invalid: Block Device ${id} is not bootable.`,
  server_volumes_full: ({ maximum }) =>
    `The maximum allowed number of disk devices (${maximum}) to attach to a single instance has been exceeded.`,
  too_many_new_volumes: ({ maximum }) => `At most ${maximum} volumes are made with the instances of one request.`,
  volume_not_attached: ({ server, volume }) => `Instance ${server} is not attached to volume ${volume}`,
  root_volume_stays: 'Cannot detach a root device volume',
} satisfies SentenceTable<ServerVolumeReasons> & Some;

const flavors = {
  flavor_not_found: ({ id }) => `Flavor ${id} could not be found.`,
  flavor_id_taken: ({ id }) => `Flavor with ID ${id} already exists.`,
  flavor_name_taken: ({ name }) => `Flavor with name ${name} already exists.`,
  flavor_public: 'Access list not available for public flavors.',
  flavor_access_exists: ({ flavor, project }) =>
    `Flavor access already exists for flavor ${flavor} and project ${project} combination.`,
  flavor_access_missing: ({ flavor, project }) => `Flavor access not found for ${flavor} / ${project} combination.`,
} satisfies Some;

const serverGroups = {
  server_group_not_found: ({ id }) => `Instance group ${id} could not be found.`,
  server_group_without_rules: 'Only anti-affinity policy supports rules.',
} satisfies Some;

const aggregates = {
  aggregate_not_found: ({ id }) => `Aggregate ${id} could not be found.`,
  aggregate_name_taken: ({ name }) => `Aggregate ${name} already exists.`,
  aggregate_not_empty: ({ id }) =>
    `Cannot perform action 'delete' on aggregate ${id}. Reason: Host aggregate is not empty.`,
  aggregate_host_exists: ({ aggregate, host }) => `Aggregate ${aggregate} already has host ${host}.`,
  image_not_on_host: ({ image, host }) =>
    `Image ${image} is not on host ${host}, and is not sent ahead in this release of Bothy: it comes there with its first server, or as one of its image_copies`,
  aggregate_host_missing: ({ aggregate, host }) => `Cannot remove host ${host} in aggregate ${aggregate}`,
  aggregate_host_in_two_zones: ({ host }) => `Host ${host} already in another availability zone.`,
  aggregate_host_has_servers: ({ host }) =>
    `Host ${host} contains instances in its availability zone, which so can't be another.`,
  host_in_maintenance: ({ host }) =>
    `Host ${host} is being emptied for maintenance. End that first (bothy undrain, or DELETE /native/v1/hosts/{id}/maintenance).`,
  host_carries_servers:
    'Unable to delete compute service that is hosting instances. Migrate or delete the instances first.',
  host_in_quarantine: ({ host }) =>
    `Unable to delete compute service of ${host}: it has instances that the database knows nothing of. Settle them with 'bothy recover' first.`,
  host_keeps_volumes: ({ host }) =>
    `Unable to delete compute service of ${host}: volumes are on its disks. Delete them first.`,
  host_keeps_image: ({ host, image }) =>
    `Unable to delete compute service of ${host}: no other host has image ${image}. Delete it, or have it copied, first.`,
  host_keeps_objects: ({ host }) =>
    `Unable to delete compute service of ${host}: objects lie on its disks. Delete them first.`,
  host_is_up: ({ host }) =>
    `Unable to delete compute service of ${host}, which is up. Stop it first, or say by forced_down that it is down.`,
} satisfies Some;

const whyKeyInvalid = {
  too_long: 'the public key is too long',
  several_lines: 'the public key must be one line',
  unknown_type: 'failed to generate fingerprint: unknown type of key',
  no_base64: 'failed to generate fingerprint: the key is no base64',
  not_of_its_type: 'failed to generate fingerprint: the key does not match its type',
  certificate_too_long: 'the certificate is too long',
  certificate_unreadable: 'failed to generate X509 fingerprint',
};

const keyPairs = {
  key_pair_not_found: ({ name, user }) => `Keypair ${name} not found for user ${user}`,
  key_pair_name_taken: ({ name }) => `Key pair '${name}' already exists.`,
  key_pair_marker_not_found: ({ marker }) => `Marker ${marker} could not be found.`,
  key_pair_user_gone: ({ user }) => `There is no user ${user} any more.`,
  key_pair_of_another_user: ({ verb }) => `Policy doesn't allow os_compute_api:os-keypairs:${verb} to be performed.`,
  public_key_invalid: ({ why }) => `Keypair data is invalid: ${whyKeyInvalid[why]}`,
} satisfies Some;

const consoles = {
  console_token_unknown: 'Token not found',
  console_token_refused: 'The token has expired, was used, or never was.',
} satisfies Some;

export const novaSentences: SentenceTable<NovaReasons> = {
  // Nova passes on what Neutron says of a server's ports, Glance of its image, and Cinder of its volumes.
  ...imageSentences,
  ...neutronSentences,
  ...storageSentences,
  ...volumeSentences,
  port_not_found: ({ id }) => `Port id ${id} could not be found.`,
  ...kitSentences,
  ...hostSentences,
  host_not_found: ({ id }) => `Compute host ${id} could not be found.`,
  marker_not_found: ({ marker }) => `marker [${marker}] not found`,
  quota_exceeded: quotaSentence,
  ...limitSentences(novaResourceName),
  ...servers,
  ...serverVolumes,
  ...flavors,
  ...serverGroups,
  ...aggregates,
  ...keyPairs,
  ...consoles,
};
