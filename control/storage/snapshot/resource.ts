import { sql } from 'kysely';
import type { ResourceDescriptor } from '../../kit/resource.ts';

export const volumeSnapshot = {
  noun: 'volume_snapshot',
  memberColumns: [
    'user_id',
    'volume_id',
    'size_gib',
    'metadata',
    'desired_presence',
    'fault',
    'ready_at',
    'group_snapshot_id',
  ],
  usage: {
    volume_snapshots: (p) =>
      sql`select count(*) as used from volume_snapshot where project_id = ${p} and consumes_quota`,
  },
  keepsProject: {},
  wakes: {
    // As of volumes; that it is gone, too.
    hosts: (look, { body, observed_only }) => {
      if (!observed_only && body.layer_id) look.layer(body.layer_id as string);
    },
  },
} satisfies ResourceDescriptor;
