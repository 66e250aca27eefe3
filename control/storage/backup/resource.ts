import { sql } from 'kysely';
import type { ResourceDescriptor } from '../../kit/resource.ts';

export const backup = {
  noun: 'backup',
  memberColumns: [
    ...['user_id', 'volume_id', 'snapshot_id', 'parent_id', 'size_gib', 'metadata', 'container', 'availability_zone'],
    ...['file_bytes', 'data_at', 'desired_presence', 'fault', 'ready_at'],
  ],
  usage: {
    backups: (p) => sql`select count(*) as used from backup where project_id = ${p} and desired_presence = 'present'`,
    backup_gigabytes: (p) => sql`select coalesce(sum(size_gib), 0) as used from backup
      where project_id = ${p} and desired_presence = 'present'`,
  },
  keepsProject: {},
} satisfies ResourceDescriptor;
