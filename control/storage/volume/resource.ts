import { sql } from 'kysely';
import type { ResourceDescriptor } from '../../kit/resource.ts';

export const volume = {
  noun: 'volume',
  memberColumns: [
    'user_id',
    'size_gib',
    'volume_type_id',
    'availability_zone',
    'bootable',
    'group_id',
    'read_only',
    'metadata',
    'image_metadata',
    'source_volume_id',
    'source_snapshot_id',
    'source_image_id',
    'desired_presence',
    'fault',
    'launched_at',
  ],
  usage: {
    volumes: (p) => sql`select count(*) as used from volume where project_id = ${p} and consumes_quota`,
    // As in Cinder, snapshots take of it as well.
    volume_gigabytes: (
      p,
    ) => sql`select (select coalesce(sum(size_gib), 0) from volume where project_id = ${p} and consumes_quota)
      + (select coalesce(sum(size_gib), 0) from volume_snapshot where project_id = ${p} and consumes_quota) as used`,
  },
  keepsProject: {},
  wakes: {
    // Its host keeps whose it is with its top (contract/host/layer.ts), for the day on which this database is lost.
    hosts: (look, { body, action, observed_only }) => {
      if (!observed_only && action !== 'deleted' && body.layer_id) look.layer(body.layer_id as string, body.host_id);
    },
  },
} satisfies ResourceDescriptor;
