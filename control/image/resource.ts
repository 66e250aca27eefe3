import { sql } from 'kysely';
import type { ResourceDescriptor } from '../kit/resource.ts';

export const image = {
  noun: 'image',
  memberColumns: [
    'visibility',
    'status',
    'disk_format',
    'container_format',
    'size_bytes',
    'virtual_size_bytes',
    'md5',
    'sha256',
    'sha512',
    'min_disk_gib',
    'min_memory_mib',
    'protected',
    'hidden',
    'owner_properties',
    'desired_presence',
  ],
  // What is deleted is the caller's no more, also while a host is away that holds its bytes.
  usage: {
    images: (p) => sql`select count(*) as used from image where project_id = ${p} and desired_presence = 'present'`,
    image_bytes: (p) =>
      sql`select coalesce(sum(size_bytes), 0)::bigint as used from image where project_id = ${p} and desired_presence = 'present'`,
    image_staged_bytes: (p) =>
      sql`select coalesce(sum(size_bytes), 0)::bigint as used from image where project_id = ${p} and desired_presence = 'present'
        and status in ('uploading', 'importing')`,
    image_uploads: (p) =>
      sql`select count(*) as used from image where project_id = ${p} and desired_presence = 'present'
        and status in ('saving', 'uploading', 'importing')`,
  },
  keepsProject: {},
  wakes: { hosts: (look, { resource_id: id }) => look.image(id) },
} satisfies ResourceDescriptor;

export const imageMember: ResourceDescriptor = { noun: 'image_member' };
