import { type RawBuilder, sql } from 'kysely';
import type { ResourceDescriptor } from '../../kit/resource.ts';

/** What can be restored is not counted, as in Nova: whoever restores it needs the quota for it. */
const counted = sql`soft_deleted_at is null`;

/** One that is on its way to another size counts as the larger of both until nobody can bring back the other: that is not asked for again. */
const sumOf = (size: 'vcpus' | 'memory_mib', whose: RawBuilder<unknown>) => sql<{ used: number }>`
  select coalesce(sum(greatest(${sql.ref(size)}, case when desired_move is not null then (
    select (m.other_size ->> ${sql.lit(size)})::bigint from server_migration m where m.server_id = server.id and m.phase <> 'ended') end)), 0)::bigint as used
  from server where ${whose} and ${counted}`;

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
    vcpus: (p) => sumOf('vcpus', sql`project_id = ${p}`),
    memory_mib: (p) => sumOf('memory_mib', sql`project_id = ${p}`),
  },
  userUsage: {
    servers: (p, u) =>
      sql`select count(*) as used from server where project_id = ${p} and user_id = ${u}::uuid and ${counted}`,
    vcpus: (p, u) => sumOf('vcpus', sql`project_id = ${p} and user_id = ${u}::uuid`),
    memory_mib: (p, u) => sumOf('memory_mib', sql`project_id = ${p} and user_id = ${u}::uuid`),
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
