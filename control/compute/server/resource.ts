import { sql } from 'kysely';
import type { ResourceDescriptor } from '../../kit/resource.ts';

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
    'access_ipv4',
    'access_ipv6',
    'locked',
    'locked_reason',
    'disk_config',
    'desired_presence',
    'desired_power',
    'observed_generation',
    'observed_state',
    'observed_step',
    'fault',
    'launched_at',
  ],
  usage: {
    servers: (p) => sql`select count(*) as used from server where project_id = ${p}`,
    vcpus: (p) => sql`select coalesce(sum(vcpus), 0)::bigint as used from server where project_id = ${p}`,
    memory_mib: (p) => sql`select coalesce(sum(memory_mib), 0)::bigint as used from server where project_id = ${p}`,
  },
  keepsProject: {},
  wakes: {
    hosts: (look, { resource_id: id, body, action }) =>
      look.server(id, body.host_id, { deleted: action === 'deleted' }),
  },
} satisfies ResourceDescriptor;

/** What a host must not have any more; the server's row may be gone, or another host's. */
export const serverAbsence: ResourceDescriptor = {
  noun: 'server_absence',
  wakes: { hosts: (look, { resource_id: id, body }) => look.server(id, body.host_id, { deleted: true }) },
};
