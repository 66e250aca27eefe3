/** What Cinder says of volumes and snapshots; Nova passes it on. */
import type { SentenceTable } from '../../../contract/errors.ts';
import type { SnapshotReasons, VolumeReasons, VolumeVerb } from '../../../control/storage/volume/reasons.ts';

const listed = (words: readonly string[]): string => words.join(' or ');

/** What was asked for, as Cinder's refusals begin. */
const doing: Readonly<Record<VolumeVerb, string>> = {
  ...{ attach: 'attach', backup: 'back up', clone: 'clone', delete: 'delete', detach: 'detach', extend: 'extend' },
  ...{ metadata: 'change the metadata of', migrate: 'migrate', read_only: 'change the mode of', reimage: 'reimage' },
  ...{ restore: 'restore to', retype: 'retype', revert: 'revert', snapshot: 'snapshot', transfer: 'transfer' },
  upload: 'upload',
};

const inTheWay: Readonly<Record<VolumeReasons['volume_in_the_way']['why'], string>> = {
  attached: 'it is attached',
  snapshots: 'it has dependent snapshots',
  snapshots_of_others: 'it has snapshots of another project',
  snapshots_busy: 'it has snapshots that something is being done with',
};

const typeUnfit: Readonly<Record<VolumeReasons['volume_type_unfit']['why'], string>> = {
  multiattach: 'local volumes are nobody’s but one server’s at a time',
  other_pool: 'its volumes are in another pool, and no volume is moved yet',
  same: 'the volume has it already',
};

const revertTo: Readonly<Record<VolumeReasons['volume_revert_snapshot']['why'], string>> = {
  none: 'it has no snapshot',
  not_latest: 'only its latest snapshot can be reverted to',
  size: 'it has another size than its snapshot',
};

const volumes: SentenceTable<VolumeReasons> = {
  volume_not_found: ({ id }) => `Volume ${id} could not be found.`,
  volume_status_unfit: ({ id, call, status, wanted }) =>
    `Invalid volume: Unable to ${doing[call]} volume ${id}: Volume status must be ${listed(wanted)} but current status is ${status}.`,
  volume_in_the_way: ({ id, why }) => `Invalid volume: Volume ${id} can not be deleted: ${inTheWay[why]}.`,
  volume_size_missing: 'Invalid input received: Volume size must be specified as an integer greater than 0',
  volume_size_below: ({ size_gib, of, minimum_gib }) =>
    `Invalid input received: Volume size '${size_gib}'GB cannot be smaller than the ${of} size ${minimum_gib}GB. They must be >= original ${of} size.`,
  volume_image_too_large: ({ image_gib, size_gib }) =>
    `Invalid input received: Size of specified image ${image_gib}GB is larger than volume size ${size_gib}GB.`,
  volume_below_minimum_disk: ({ size_gib, minimum_gib }) =>
    `Invalid input received: Volume size ${size_gib}GB cannot be smaller than the image minDisk size ${minimum_gib}GB.`,
  volume_size_beyond_type: ({ size_gib, type, minimum_gib, maximum_gib }) =>
    `Invalid input received: Specified volume size of '${size_gib}' is not within the ${minimum_gib ?? 'least'} to ${maximum_gib ?? 'most'} GB of volumes of type '${type}'.`,
  volume_extend_not_larger: ({ size_gib, wanted_gib }) =>
    `Invalid input received: New size for extend must be greater than current size. (current: ${size_gib}, extended: ${wanted_gib}).`,
  volume_sources_exclusive: ({ sources }) =>
    `Invalid input received: Only one of ${sources.join(', ')} can be specified to create a volume from.`,
  volume_zone_unknown: ({ zone }) => `Availability zone '${zone}' is invalid.`,
  volume_zone_of_source: ({ zone }) =>
    `Invalid input received: Volume must be in the same availability zone as its source, which '${zone}' is not.`,
  volume_type_unfit: ({ type, why }) => `Invalid volume type: ${type}: ${typeUnfit[why]}.`,
  volume_hint_unknown: ({ hint, id }) => `Invalid input received: scheduler hint ${hint}: ${id} could not be found.`,
  volume_revert_snapshot: ({ id, why }) => `Invalid volume: Volume ${id} can not be reverted: ${revertTo[why]}.`,
  volume_without_image_metadata: ({ id }) => `Volume ${id} has no image metadata.`,
  volume_metadata_missing: ({ id, key }) => `Volume ${id} has no metadata with key ${key}.`,
  volume_migration_unserved: ({ id }) =>
    `Invalid volume: Volume ${id} stays where it is: no host takes over volumes of others yet.`,
  volume_manage_unserved: 'Volumes that are not of this cloud are not taken over, and none is given away.',
  volume_image_format_unserved: ({ format, container }) =>
    `Invalid input received: no image is made in disk format ${format} and container format ${container}.`,
  volume_reset_unserved: ({ id, status }) =>
    `Invalid input received: the status of volume ${id} is not reset to ${status}.`,
  volume_marker_not_found: ({ id }) => `Marker ${id} could not be found.`,
};

const snapshots: SentenceTable<SnapshotReasons> = {
  volume_snapshot_not_found: ({ id }) => `Snapshot ${id} could not be found.`,
  snapshot_status_unfit: ({ id, status, wanted }) =>
    `Invalid snapshot: Snapshot ${id} status must be ${listed(wanted)} but current status is ${status}.`,
  snapshot_progress_unfit: ({ id, status, wanted }) =>
    `Provided snapshot status ${wanted} not allowed for snapshot ${id} with status ${status}.`,
  snapshot_marker_not_found: ({ id }) => `Marker ${id} could not be found.`,
  snapshot_metadata_missing: ({ id, key }) => `Snapshot ${id} has no metadata with key ${key}.`,
  snapshot_reset_unserved: ({ id, status }) =>
    `Invalid input received: the status of snapshot ${id} is not reset to ${status}.`,
};

export const volumeSentences = { ...volumes, ...snapshots };
