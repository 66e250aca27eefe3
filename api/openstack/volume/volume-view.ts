/** Volumes as Cinder shows them, by the microversion that was asked for (cinder/api/v3/views/volumes.py). */
import type { FastifyRequest } from 'fastify';
import { isAdmin } from '../../../control/kit/caller.ts';
import {
  attachmentStatus,
  type ListedVolume,
  migrationStatus,
  volumeStatus,
  zoneOf,
} from '../../../control/storage/volume/index.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { linksOf } from './paging.ts';
import { cinderTime } from './times.ts';

const attachment = {
  ...{ id: a.id, attachment_id: a.id, volume_id: a.id, server_id: a.orNull(a.id), host_name: a.orNull(a.text) },
  ...{ device: a.orNull(a.text), attached_at: a.orNull(a.time) },
};

/** What everybody is shown in every version. */
const plain = {
  ...{ id: a.id, status: a.text, size: a.integer, availability_zone: a.orNull(a.text), created_at: a.time },
  ...{ updated_at: a.orNull(a.time), name: a.orNull(a.text), description: a.orNull(a.text), volume_type: a.text },
  ...{ snapshot_id: a.orNull(a.id), source_volid: a.orNull(a.id), metadata: a.textsByName, links: a.links },
  ...{ user_id: a.id, bootable: a.one('true', 'false'), encrypted: a.boolean, replication_status: a.orNull(a.text) },
  ...{ consistencygroup_id: a.orNull(a.id), multiattach: a.boolean, attachments: a.list(attachment) },
};

export const volumeAnswer = a.record({
  ...plain,
  ...{ 'os-vol-tenant-attr:tenant_id': a.some(a.id), volume_image_metadata: a.some(a.textsByName) },
  ...{ migration_status: a.some(a.orNull(a.text)), 'os-vol-host-attr:host': a.some(a.orNull(a.text)) },
  'os-vol-mig-status-attr:migstat': a.some(a.orNull(a.text)),
  'os-vol-mig-status-attr:name_id': a.some(a.orNull(a.id)),
  ...{ group_id: a.some(a.orNull(a.id)), provider_id: a.some(a.orNull(a.text)), shared_targets: a.some(a.boolean) },
  ...{ service_uuid: a.some(a.orNull(a.id)), cluster_name: a.some(a.orNull(a.text)), volume_type_id: a.some(a.id) },
  ...{ consumes_quota: a.some(a.boolean), encryption_key_id: a.some(a.id) },
});

export const briefVolumeAnswer = a.record({ id: a.id, name: a.orNull(a.text), links: a.links });

export const briefVolume = (request: FastifyRequest, { id, name }: ListedVolume) => ({
  ...{ id, name, links: linksOf(request, 'volumes', id) },
});

/** A thing that nobody changed since it was made was never updated. */
export const updatedAt = ({ created_at, updated_at }: { created_at: Date; updated_at: Date }): string | null =>
  updated_at.getTime() === created_at.getTime() ? null : cinderTime(updated_at);

/** As answers to a creation or a change have it. */
export function volumeBody(request: FastifyRequest, volume: ListedVolume) {
  const { microversion: version } = request;
  const admin = isAdmin(callerOf(request));
  return {
    ...{ id: volume.id, status: volumeStatus(volume), size: volume.size_gib, availability_zone: zoneOf(volume) },
    ...{ created_at: cinderTime(volume.created_at), updated_at: updatedAt(volume), name: volume.name },
    ...{ description: volume.description, volume_type: volume.type_name, snapshot_id: volume.source_snapshot_id },
    ...{ source_volid: volume.source_volume_id, metadata: shownMetadata(volume) },
    ...{ links: linksOf(request, 'volumes', volume.id), user_id: volume.user_id, bootable: String(volume.bootable) },
    ...{
      encrypted: volume.key_id !== null,
      replication_status: volume.replication_status,
      consistencygroup_id: null,
      multiattach: volume.multiattach,
    },
    attachments: attachmentsOf(volume, admin),
    ...(admin && { migration_status: migrationStatus(volume) }),
    ...(version >= 13 && { group_id: volume.group_id }),
    ...(admin && version >= 21 && { provider_id: null }),
    ...(version >= 48 && { shared_targets: false, service_uuid: null }),
    ...(admin && version >= 61 && { cluster_name: null }),
    ...(version >= 63 && { volume_type_id: volume.volume_type_id }),
    ...(version >= 64 && volume.key_id !== null && { encryption_key_id: volume.key_id }),
    ...(version >= 65 && { consumes_quota: volume.consumes_quota }),
  };
}

/** With what its extensions add where a volume is shown. */
export function wholeVolumeBody(request: FastifyRequest, volume: ListedVolume) {
  return {
    ...volumeBody(request, volume),
    'os-vol-tenant-attr:tenant_id': volume.project_id,
    ...(volume.image_metadata &&
      Object.keys(volume.image_metadata).length > 0 && { volume_image_metadata: volume.image_metadata }),
    ...(isAdmin(callerOf(request)) && {
      'os-vol-host-attr:host': hostOf(volume),
      'os-vol-mig-status-attr:migstat': migrationStatus(volume),
      'os-vol-mig-status-attr:name_id': null,
    }),
  };
}

/** host@backend#pool: each pool of a host is a backend of its own. */
const hostOf = ({ host_name: host, pool_name: pool }: Pick<ListedVolume, 'host_name' | 'pool_name'>) =>
  host === null || pool === null ? null : `${host}@${pool}#${pool}`;

const shownMetadata = ({ metadata, read_only, read_only_said }: ListedVolume): Record<string, string> => ({
  ...metadata,
  ...(read_only_said && { readonly: read_only ? 'True' : 'False' }),
});

function attachmentsOf({ id, attachment, host_name }: ListedVolume, admin: boolean) {
  if (!attachment || attachmentStatus(attachment) === 'reserved' || attachment.attached_at === null) return [];
  const { server_id, instance_id, device, connector, attached_at } = attachment;
  // Of what this cloud has no hand in it is known what was said of it.
  const where = server_id === null ? namedHost(connector) : host_name;
  return [
    {
      ...{ id, attachment_id: attachment.id, volume_id: id, server_id: instance_id, device },
      ...{ host_name: admin ? where : null, attached_at: cinderTime(new Date(attached_at)) },
    },
  ];
}

const namedHost = (connector: unknown): string | null => {
  const { host } = (connector ?? {}) as { host?: unknown };
  return typeof host === 'string' ? host : null;
};
