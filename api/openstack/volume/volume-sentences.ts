/** What Cinder says of volumes and snapshots (cinder/volume/api.py), word for word where clients look for it; Nova passes it on. */
import type { SentenceTable } from '../../../contract/errors.ts';
import type { SnapshotReasons, VolumeReasons, VolumeVerb } from '../../../control/storage/volume/reasons.ts';

type Unfit = VolumeReasons['volume_status_unfit'];

const orList = (wanted: readonly string[]): string => wanted.join(' or ');

const unfit: Readonly<Record<VolumeVerb, (fields: Unfit) => string>> = {
  attach: ({ status }) => `Volume status must be available to reserve, but the status is ${status}.`,
  backup: ({ status }) => `Volume to be backed up must be available or in-use, but the current status is "${status}".`,
  clone: ({ wanted }) => `Originating source volume status must be one of '${wanted.join(', ')}' values`,
  delete: ({ wanted }) =>
    `Volume status must be ${orList(wanted)} and must not be migrating, attached, belong to a group, have snapshots, awaiting a transfer, or be disassociated from snapshots after volume transfer.`,
  detach: () =>
    "Unable to detach volume. Volume status must be 'in-use' and attach_status must be 'attached' to detach.",
  extend: ({ id, status, wanted }) => `Volume ${id} status must be '${orList(wanted)}' to extend, currently ${status}.`,
  metadata: ({ status }) => `Updating volume metadata is not allowed for volumes in ${status} status.`,
  group: ({ id, status }) => `Cannot add volume ${id} to a group: its status is ${status}.`,
  migrate: ({ id }) => `Volume ${id} status must be available or in-use.`,
  read_only: ({ id, status }) =>
    `Volume ${id} status must be available to update readonly flag, but current status is: ${status}.`,
  reimage: ({ id, status, wanted }) =>
    `Volume ${id} status must be ${orList(wanted)} to reimage, but the status is ${status}.`,
  restore: ({ status }) => `Volume to be restored to must be available, but the current status is "${status}".`,
  retype: () =>
    'Retype needs volume to be in available or in-use state, not be part of an active migration or a consistency group, requested type has to be different that the one from the volume, and for in-use volumes front-end qos specs cannot change.',
  revert: ({ id }) => `Can't revert volume ${id} to its latest snapshot. Volume's status must be 'available'.`,
  snapshot: ({ id, status, wanted }) =>
    `Volume ${id} status must be ${wanted.join(', ')}, but current status is: ${status}.`,
  accept_transfer: ({ id, status }) => `Transfer of volume ${id} can not be accepted: the volume is ${status}.`,
  transfer: ({ status }) => `status must be available, and it is ${status}`,
  upload: ({ id, wanted }) => `Volume ${id} status must be ${orList(wanted)}`,
};

const inTheWay = {
  attached: 'it is attached, or about to be or to be no more',
  group: 'it is in a group',
  snapshots: 'it has snapshots',
  snapshots_of_group: 'its snapshots are part of snapshots of a group',
  snapshots_of_others: 'it has snapshots of another project',
  snapshots_busy: 'something is being done with its snapshots',
} as const satisfies Record<VolumeReasons['volume_in_the_way']['why'], string>;

const sizes = {
  volume_size_missing: "Invalid input received: Volume size 'None' must be an integer and greater than 0",
  volume_size_below: ({ size_gib, of, minimum_gib }) =>
    of === 'snapshot'
      ? `Invalid input received: Volume size '${size_gib}'GB cannot be smaller than the snapshot size ${minimum_gib}GB. They must be >= original snapshot size.`
      : of === 'volume'
        ? `Invalid input received: Volume size '${size_gib}'GB cannot be smaller than original volume size  ${minimum_gib}GB. They must be >= original volume size.`
        : `Invalid input received: Volume size ${size_gib}GB cannot be smaller than the backup size ${minimum_gib}GB. It must be >= backup size.`,
  volume_image_too_large: ({ image_gib, size_gib }) =>
    `Invalid input received: Size of specified image ${image_gib}GB is larger than volume size ${size_gib}GB.`,
  volume_below_minimum_disk: ({ size_gib, minimum_gib }) =>
    `Invalid input received: Volume size ${size_gib}GB cannot be smaller than the image minDisk size ${minimum_gib}GB.`,
  volume_size_beyond_type: ({ size_gib, type, minimum_gib, maximum_gib }) =>
    minimum_gib !== null && size_gib < minimum_gib
      ? `Invalid input received: Specified volume size of '${size_gib}' is less than the minimum required size of '${minimum_gib}' for volume type '${type}'.`
      : `Invalid input received: Specified volume size of '${size_gib}' is greater than the maximum allowable size of '${maximum_gib}' for volume type '${type}'.`,
  volume_extend_not_larger: ({ size_gib, wanted_gib }) =>
    `Invalid input received: New size for extend must be greater than current size. (current: ${size_gib}, extended: ${wanted_gib}).`,
} satisfies Partial<SentenceTable<VolumeReasons>>;

const stays: Readonly<Record<VolumeReasons['volume_migration_unfit']['why'], (to: string | null) => string>> = {
  snapshots: () => 'Invalid volume: Volume must not have snapshots to go to another pool',
  group: () => 'Invalid volume: Volume must not be part of a group to go to another pool',
  connected: () => 'Invalid volume: another machine has the volume connected, and would not follow it to another pool',
  nowhere: () => 'Invalid volume: the volume lies nowhere yet',
  cluster: () => 'Invalid input received: there are no clusters of volume services here; name a host as host@pool#pool',
  unknown: (to) => `Invalid host: No available service named '${to}', as host@pool#pool`,
  same: () => 'Invalid host: Destination host must be different than the current host',
  with_server: () =>
    'Invalid volume: a server has the volume, on the disks of its own host: it goes to another host with that, or when it is detached',
  cached: () =>
    'Invalid volume: the volume has a cache: retype it to a type without one before it goes to another host',
  replicated: () =>
    'Invalid volume: the volume has a replica on another host: retype it to a type without one before it goes to another host',
  in_cluster: () =>
    'Invalid volume: the volume lies in a Ceph cluster, and does not leave it: make an image or a backup of it',
  host_too_old: () =>
    'Invalid host: one of both hosts is of an earlier release, which does not copy volumes: upgrade it first',
};

const volumes: SentenceTable<VolumeReasons> = {
  ...sizes,
  volume_not_found: ({ id }) => `Volume ${id} could not be found.`,
  volume_marker_not_found: ({ id }) => `Volume ${id} could not be found.`,
  volume_status_unfit: (fields) => `Invalid volume: ${unfit[fields.call](fields)}`,
  volume_in_the_way: ({ id, why }) =>
    `Invalid volume: Volume ${id} can't be deleted: ${inTheWay[why]}. It must not be migrating, attached, belong to a group, have snapshots, awaiting a transfer, or be disassociated from snapshots after volume transfer.`,
  snapshot_of_group: () =>
    'Invalid snapshot: Snapshot status must be available or error and must not be part of a group.',
  volume_sources_exclusive: ({ sources }) => `Invalid input received: May specify only one of ${sources.join(', ')}`,
  volume_zone_unknown: ({ zone }) => `Availability zone '${zone}' is invalid.`,
  volume_zone_of_source: ({ zone }) =>
    `Invalid input received: Volume must be in the same availability zone as what it is made from, which is not in '${zone}'.`,
  volume_type_unfit: ({ type, why }) =>
    why === 'multiattach'
      ? `Invalid volume type: ${type}: volumes of several machines at a time are not served: here a local volume is one machine's.`
      : why === 'cache_and_replica'
        ? `Invalid volume type: ${type}: volumes with a cache and a replica are not served: what is in the cache would be in neither place.`
        : why === 'replica'
          ? `Invalid volume: type ${type} asks for a replica, or for none, and for another pool, encryption or cache: ask for a type with one of both first.`
          : why === 'same' || why === 'group'
            ? `Invalid volume: ${unfit.retype({ id: '', call: 'retype', status: '', wanted: [] })}`
            : `Invalid volume: ${why === 'other_pool' ? 'the pool of the volume is not as' : 'the volume is not encrypted as'} type ${type} asks, and the migration policy is 'never'. Retype requires migration but is not allowed.`,
  volume_cache_sinks: ({ id }) =>
    `Invalid volume: what volume ${id} held is still on its way out of its cache for a snapshot or a clone; try again in a while.`,
  volume_hint_unknown: ({ hint, id }) => `Invalid input received: ${hint} names ${id}, and there is none.`,
  volume_revert_unfit: ({ id, of, status }) =>
    of === 'volume'
      ? `Invalid volume: Can't revert volume ${id} to its latest snapshot. Volume's status must be 'available', and it is '${status}'.`
      : `Invalid snapshot: Snapshot ${id} must be available to revert to it, and it is '${status}'.`,
  volume_revert_snapshot: ({ id, why, snapshot }) =>
    why === 'none'
      ? `Volume ${id} doesn't have any snapshots.`
      : why === 'not_latest'
        ? `Specified snapshot ${snapshot} is None or not the latest one of volume ${id}.`
        : `Can't revert volume ${id} to its latest snapshot ${snapshot}. The volume size must be equal to the snapshot size.`,
  volume_migration_unfit: ({ id, why, to }) => `${stays[why](to)} (volume ${id})`,
  volume_replica_missing: ({ id }) => `Volume ${id} has no whole replica.`,
  volume_replica_alone: ({ id }) =>
    `The host of volume ${id} is away: its replica may be all that there is of it, and stays until that host is back, or the volume has failed over.`,
  volume_failover_attached: ({ id }) =>
    `Volume ${id} is attached to a server: evacuate the server, and its volumes go along.`,
  volume_failover_unproven: ({ id, host, why }) =>
    why === 'in_use'
      ? `Volume ${id} is not failed over: host ${host} is in use.`
      : `Volume ${id} is not failed over: nothing proves yet that host ${host} does not write to it; wait for the end of its lease, or say that it is down when it certainly is.`,
  volume_image_format_unserved: ({ format, container }) =>
    `Invalid input received: no image of format '${format}' in container '${container}' is made of volumes here.`,
  volume_unmanaged: ({ id, why }) =>
    `Invalid volume: Volume ${id} is not unmanaged: ${why === 'cache' ? 'part of what it holds may be in its cache' : 'in a Ceph cluster there is no directory that its content could be laid into'}. Make an image of it instead.`,
  managed_file_unfit: ({ name, why }) =>
    `Failed to manage existing volume due to invalid backend reference ${name}: ${why}.`,
  volume_reset_unserved: ({ status }) => `Cannot reset-state to ${status}`,
};

const snapshots: SentenceTable<SnapshotReasons> = {
  volume_snapshot_not_found: ({ id }) => `Snapshot ${id} could not be found.`,
  snapshot_marker_not_found: ({ id }) => `Snapshot ${id} could not be found.`,
  snapshot_status_unfit: ({ wanted }) =>
    `Invalid snapshot: Snapshot status must be ${orList(wanted)} and must not be part of a group.`,
  snapshot_reset_unserved: ({ status }) => `Invalid input for field/attribute status. Value: ${status}.`,
  snapshot_progress_unfit: ({ status, wanted }) =>
    `Provided snapshot status ${wanted} not allowed for snapshot with status ${status}.`,
};

export const volumeSentences = { ...volumes, ...snapshots };
