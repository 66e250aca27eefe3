import { sql } from 'kysely';
import type { ResourceDescriptor } from '../../kit/resource.ts';

/** What can be restored is not counted, as in Nova: whoever restores it needs the quota for it. */
const counted = sql`soft_deleted_at is null`;

export const server = {
  noun: 'server',
  memberColumns: [
    'user_id',
    'hostname',
    'image_id',
    'flavor_id',
    'flavor',
    'vcpus',
    'memory_mib',
    'disk_gib',
    'key_name',
    'config_drive',
    'metadata',
    'availability_zone',
    'server_group_id',
    'access_ipv4',
    'access_ipv6',
    'locked',
    'locked_reason',
    'disk_config',
    'desired_presence',
    'desired_power',
    'desired_rescue',
    'desired_shelve',
    'soft_deleted_at',
    'observed_generation',
    'observed_state',
    'observed_step',
    'fault',
    'launched_at',
  ],
  usage: {
    servers: (p) => sql`select count(*) as used from server where project_id = ${p} and ${counted}`,
    vcpus: (p) =>
      sql`select coalesce(sum(vcpus), 0)::bigint as used from server where project_id = ${p} and ${counted}`,
    memory_mib: (p) =>
      sql`select coalesce(sum(memory_mib), 0)::bigint as used from server where project_id = ${p} and ${counted}`,
  },
  userUsage: {
    servers: (p, u) =>
      sql`select count(*) as used from server where project_id = ${p} and user_id = ${u}::uuid and ${counted}`,
    vcpus: (p, u) =>
      sql`select coalesce(sum(vcpus), 0)::bigint as used from server where project_id = ${p} and user_id = ${u}::uuid and ${counted}`,
    memory_mib: (p, u) =>
      sql`select coalesce(sum(memory_mib), 0)::bigint as used from server where project_id = ${p} and user_id = ${u}::uuid and ${counted}`,
  },
  keepsProject: {},
  wakes: {
    // What a host has reported is in no document.
    hosts: (look, { resource_id: id, body, action, observed_only }) => {
      if (!observed_only) look.server(id, body.host_id, { deleted: action === 'deleted' });
    },
  },
} satisfies ResourceDescriptor;

/** Whose share a server counts in: of whoever made it, as in Nova. */
export const shareOf = ({ user_id }: { user_id: string }) => ({ userId: user_id, usage: server.userUsage });

/** What a host must not have any more; the server's row may be gone, or another host's. */
export const serverAbsence: ResourceDescriptor = {
  noun: 'server_absence',
  wakes: { hosts: (look, { resource_id: id, body }) => look.server(id, body.host_id, { deleted: true }) },
};
