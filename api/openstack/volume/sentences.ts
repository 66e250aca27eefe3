/** What Cinder says of each reason, word for word where clients look for it. */
import type { SentenceTable } from '../../../contract/errors.ts';
import type { HostReasons } from '../../../control/host/reasons.ts';
import type { ImageReasons } from '../../../control/image/reasons.ts';
import type { KitReasons } from '../../../control/kit/reasons.ts';
import type { ConnectionReasons } from '../../../control/storage/connection/reasons.ts';
import type { StorageReasons } from '../../../control/storage/reasons.ts';
import type { SnapshotReasons, VolumeReasons } from '../../../control/storage/volume/reasons.ts';
import { hostSentences, kitSentences, limitSentences } from '../common/sentences.ts';
import { imageSentences } from '../image/sentences.ts';
import { volumeSentences } from './volume-sentences.ts';

/** All that a call of this dialect may be refused for. */
export type CinderReasons = KitReasons &
  HostReasons &
  ImageReasons &
  StorageReasons &
  VolumeReasons &
  SnapshotReasons &
  ConnectionReasons;
type Some = Partial<SentenceTable<CinderReasons>>;

const encryptedCalls = {
  transfer: 'transferring encrypted volume is not supported',
  upload: 'an image of it is encrypted too: its disk_format is qcow2.',
  unmanage: 'unmanaging encrypted volumes is not supported.',
};

const volumeTypes = {
  volume_type_not_found: ({ id }) => `Volume type ${id} could not be found.`,
  volume_type_name_taken: ({ name }) => `Volume Type ${name} already exists.`,
  volume_type_is_default: ({ id }) => `The volume type ${id} is a default volume type and cannot be deleted.`,
  volume_type_in_use: 'Target volume type is still in use.',
  volume_type_has_volumes: 'Volume Type is currently in use.',
  volume_type_public: 'Access list not available for public volume types.',
  volume_type_access_of_public:
    'Invalid volume type: Type access modification is not applicable to public volume type.',
  volume_type_access_exists: ({ id, project }) =>
    `Volume type access for ${id} / ${project} combination already exists.`,
  volume_type_access_missing: ({ id, project }) => `Volume type access not found for ${id} / ${project} combination.`,
  volume_type_encryption_exists: ({ id }) => `Volume type encryption for type ${id} already exists.`,
  volume_type_encryption_not_found: ({ id }) => `Volume type encryption for type ${id} does not exist.`,
  volume_type_word_unfit: ({ key, value, wanted }) => `Invalid extra spec: ${key} can't be '${value}': ${wanted}.`,
  volume_type_cache_unfit: ({ key, value, wanted }) =>
    value === ''
      ? `Invalid volume type: of its cache ${key} is missing: ${wanted}.`
      : `Invalid extra spec: ${key} can't be '${value}': ${wanted}.`,
  volume_type_encryption_unserved: ({ name, what, value }) =>
    what === 'version'
      ? `Invalid volume type: provider '${value}' of type ${name} is LUKS version 2, and QEMU, which encrypts volumes in this cloud, does version 1: its provider is luks.`
      : `Invalid volume type: volumes of type ${name} shall be encrypted with ${what} '${value}', which no host of this cloud does; they do provider luks, cipher aes-xts-plain64, key sizes 256 and 512, front-end.`,
  volume_encryption_differs: ({ type, of }) =>
    of === 'image'
      ? `Invalid volume_type provided: ${type} (the image is encrypted, and a volume of it is of an encrypted type).`
      : `Invalid volume_type provided: ${type} (requested type is not compatible with how the ${of} is encrypted; either match source volume, or omit type argument).`,
  volume_encrypted: ({ id, call }) =>
    // Word for word what Cinder says.
    call === 'transfer'
      ? `Invalid volume: ${encryptedCalls.transfer}`
      : `Invalid volume: Volume ${id} is encrypted, and ${encryptedCalls[call]}`,
  default_volume_type_not_found: ({ id }) => `Default type for project ${id} not found.`,
} satisfies Some;

const qosSpecs = {
  qos_specs_not_found: ({ id }) => `No such QoS spec ${id}.`,
  qos_specs_name_taken: ({ name }) => `QoS Specs ${name} already exists.`,
  qos_specs_in_use: 'Qos specs still in use.',
  qos_specs_key_missing: ({ id, key }) => `QoS spec ${id} has no spec with key ${key}.`,
  qos_spec_no_number: ({ key, value }) => `Invalid qos specs: ${key} is a whole number, not '${value}'.`,
  volume_type_has_other_qos: ({ id, specs }) =>
    `Invalid volume type: Type ${id} is already associated with another qos specs: ${specs}`,
} satisfies Some;

const groupTypes = {
  volume_transfer_not_found: ({ id }) => `Transfer ${id} could not be found.`,
  volume_transfer_key_wrong: () => 'Invalid auth key: Attempt to transfer the volume with a wrong key.',
  group_type_not_found: ({ id }) => `Group type ${id} could not be found.`,
  group_type_name_taken: ({ name }) => `Group Type ${name} already exists.`,
  group_type_in_use: 'Target group type is still in use.',
} satisfies Some;

const notAtOnce = {
  several: 'not one server alone has all of those that are in use',
  cache: 'a server has several of them, and some have a cache',
  cluster: 'a server has several of them, and some lie in a cluster that snapshots each by itself',
} as const satisfies Record<StorageReasons['group_without_one_moment']['why'], string>;

const groups = {
  volume_group_not_found: ({ id }) => `Group ${id} could not be found.`,
  group_snapshot_not_found: ({ id }) => `GroupSnapshot ${id} could not be found.`,
  group_status_unfit: ({ id, status }) => `Invalid group: Group ${id} must be available, and its status is ${status}.`,
  group_reset_unserved: ({ id, status }) => `Invalid group: The status of group ${id} can not be reset to ${status}.`,
  group_empty: () => 'Invalid group: Source group is empty. Nothing can be made of it.',
  group_without_one_moment: ({ id, volumes, why }) =>
    `Invalid group: There is no one moment for the volumes of group ${id}, as its type wants: ${notAtOnce[why]} (${volumes.join(', ')}).`,
  group_has_volumes: ({ id }) =>
    `Invalid group: Group ${id} still contains volumes. The delete-volumes flag is required to delete it.`,
  group_has_snapshots: ({ id }) => `Invalid group: Cannot delete group ${id}: it has dependent group snapshots.`,
  group_type_unmet: ({ id, volume }) =>
    `Invalid input received: The volume type of ${volume === null ? 'the new volume' : `volume ${volume}`} is not supported by group ${id}.`,
  volume_in_other_group: ({ id, volume }) =>
    `Invalid volume: Cannot add volume ${volume} to group ${id}: it is in a group already, or of another project.`,
  volume_outside_group_zone: ({ id, volume, zone }) =>
    `Invalid volume: Cannot add volume ${volume} to group ${id}: it is not in availability zone '${zone}'.`,
  volume_not_in_group: ({ id, volume }) =>
    `Invalid volume: Cannot remove volume ${volume} from group ${id}: it is not in the group.`,
} satisfies Some;

const unexported: Readonly<Record<ConnectionReasons['volume_not_exported']['why'], string>> = {
  encrypted: 'it is encrypted, and only this cloud’s servers are given encrypted volumes',
  cache: 'it has a cache, which only the QEMU of a server of this cloud serves',
  cluster: 'it lies in a Ceph cluster, which is not exported by iSCSI here',
  no_portal:
    'it is local to its host, and only servers of that host reach it: the host has no portal for machines outside (setting iscsi_portal)',
  host_away: 'its host is away',
  ports: 'all ports of its host for exported volumes (setting iscsi_portal) are taken',
  late: 'its host did not open it in time',
};

const connections = {
  attachment_not_found: ({ id }) => `Volume attachment could not be found with filter: attachment_id = ${id}.`,
  attachment_of_server: ({ server }) => `Detach volume from instance ${server} using the Compute API`,
  volume_not_exported: ({ id, why }) => `Unable to connect to volume ${id}: ${unexported[why]}.`,
  // Word for word what Cinder says.
  connector_lacks: ({ what }) => `Connector doesn't have required information: ${what}`,
  connector_initiator_unfit: ({ initiator }) =>
    `Invalid connector: '${initiator}' is no name of an iSCSI initiator (iqn., eui. or naa., RFC 7143, 4.2.7).`,
  attachment_connected: ({ id }) =>
    `Attachment ${id} is connected to another machine, or was until just now: a machine has an attachment of its own.`,
  volume_read_only: ({ id }) => `Invalid attaching mode 'rw' for volume ${id}: it is read-only.`,
} satisfies SentenceTable<ConnectionReasons>;

const places = {
  layer_gone: () => 'What the volume was to be made of is gone.',
  no_pool: ({ why, fix }) => `No valid backend was found: ${why}. To help: ${fix}.`,
} satisfies Some;

const backups = {
  backup_not_found: ({ id }) => `Backup ${id} could not be found.`,
  backup_status_unfit: ({ wanted }) => `Invalid backup: Backup status must be ${wanted.join(' or ')}`,
  backup_needs_force: () => 'Invalid volume: Backing up an in-use volume must use the force flag.',
  backup_snapshot_unfit: ({ status }) =>
    `Invalid snapshot: Snapshot to be backed up must be available, but the current status is "${status}".`,
  backup_snapshot_of_other: ({ id, volume }) =>
    `Invalid volume: Snapshot ${id} to be backed up is none of volume ${volume}.`,
  backup_zone_unfit: ({ wanted, zone }) =>
    `Invalid backup: it lies with the host of its volume, in availability zone '${zone}', and not in '${wanted}'.`,
  backup_parent_missing: () => 'Invalid backup: No backups available to do an incremental backup.',
  backup_has_dependents: () => 'Invalid backup: Incremental backups exist for this backup.',
  backup_volume_too_small: ({ size_gib, minimum_gib }) =>
    `Invalid volume: volume size ${size_gib} is too small to restore backup of size ${minimum_gib}.`,
  backup_reset_unserved: ({ status }) => `Invalid backup: The status of the backup can not be reset to ${status}.`,
  backup_exists: () => 'Invalid backup: Backup already exists in database.',
  backup_key_missing: ({ key }) =>
    `Invalid backup: it is encrypted, and its key ${key} is not in this cloud: records carry no keys, and without it nobody can read the backup.`,
  backup_record_unreadable: ({ field }) => `Invalid input received: Can't parse backup record: ${field}.`,
} satisfies Some;

const inventory = {
  storage_message_not_found: ({ id }) => `Message ${id} could not be found.`,
  storage_backend_not_found: ({ id }) => `Service cinder-volume could not be found on host ${id}.`,
} satisfies Some;

export const storageSentences = {
  ...volumeTypes,
  ...places,
  ...qosSpecs,
  ...groups,
  ...groupTypes,
  ...inventory,
  ...backups,
} satisfies SentenceTable<StorageReasons>;

export const cinderSentences: SentenceTable<CinderReasons> = {
  ...imageSentences,
  ...kitSentences,
  ...hostSentences,
  marker_not_found: ({ marker }) => `Marker ${marker} could not be found.`,
  quota_exceeded: quotaSentence,
  ...limitSentences(cinderResourceName),
  ...storageSentences,
  ...volumeSentences,
  ...connections,
};

/** What Cinder calls what we count. */
function quotaSentence({ resource, limit, used, wanted }: KitReasons['quota_exceeded']): string {
  const name = cinderResourceName(resource);
  if (resource === 'volume_gigabytes_each') {
    return `Requested volume size ${wanted}G is larger than maximum allowed limit ${limit}G.`;
  }
  if (resource === 'backup_gigabytes') {
    return `Requested backup exceeds allowed Backup gigabytes quota. Requested ${wanted}G, quota is ${limit}G and ${used}G has been consumed.`;
  }
  if (resource.includes('gigabytes')) {
    return `Requested volume or snapshot exceeds allowed ${name} quota. Requested ${wanted}G, quota is ${limit}G and ${used}G has been consumed.`;
  }
  const what = /^(?:volume_)?(snapshots|backups|groups)/.exec(resource)?.[1] ?? 'volumes';
  return `Maximum number of ${what} allowed (${limit}) exceeded for quota '${name}'.`;
}

const cinderResource: Readonly<Record<string, string>> = {
  volume_gigabytes: 'gigabytes',
  volume_snapshots: 'snapshots',
  volume_groups: 'groups',
};
function cinderResourceName(resource: string): string {
  return cinderResource[resource] ?? resource;
}
