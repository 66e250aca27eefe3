import { sql } from 'kysely';
import type { ResourceDescriptor } from '../kit/resource.ts';

const counted = (column: string) => (p: string) =>
  sql<{
    used: number;
  }>`select coalesce((select ${sql.ref(column)} from object_account where project_id = ${p}), 0)::bigint as used`;

export const container = {
  noun: 'container',
  memberColumns: ['bucket_name', 'versioning', 'quota_bytes', 'quota_objects'],
  usage: { containers: counted('containers'), objects: counted('objects'), object_bytes: counted('bytes') },
  keepsProject: {},
} satisfies ResourceDescriptor;

export const objectDisk: ResourceDescriptor = { noun: 'object_disk' };
