/** Hosts with what they carry: `host_usage` is counted by the transactions that change it, see its migration. */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import type { HostFacts } from '../../../contract/host/index.ts';
import type { Caller } from '../../kit/caller.ts';
import type { Queryable, Tx } from '../../kit/database/database.ts';

export interface Hypervisor {
  id: string;
  name: string;
  availability_zone: string;
  enabled: boolean;
  disabled_reason: string | null;
  forced_down: boolean;
  facts: Partial<HostFacts>;
  vcpus: number;
  memory_mib: number;
  disk_gib: number;
  connected: boolean;
  /** Connected, and nobody says that it is down. */
  up: boolean;
  last_seen_at: Date | null;
  created_at: Date;
  updated_at: Date;
  used_vcpus: number;
  used_memory_mib: number;
  used_disk_gib: number;
  servers: number;
  building: number;
  /** Position by age, from 1: the small number that callers before microversion 2.53 know a host by. */
  number: number;
}

/** Hosts with their usage, oldest first. */
export async function listHypervisors(
  db: Queryable,
  options: { id?: string; marker?: string; limit?: number } = {},
): Promise<Hypervisor[]> {
  const { rows } = await sql<Hypervisor>`
    select h.id, h.name, h.availability_zone, h.enabled, h.disabled_reason, h.forced_down, h.facts, h.vcpus, h.memory_mib, h.disk_gib,
      h.connected, h.connected and not h.forced_down as up, h.last_seen_at, h.created_at, h.updated_at,
      coalesce(u.vcpus, 0)::integer as used_vcpus, coalesce(u.memory_mib, 0)::bigint as used_memory_mib,
      coalesce(u.disk_gib, 0)::bigint as used_disk_gib, coalesce(u.servers, 0)::integer as servers,
      coalesce(b.building, 0)::integer as building, h.number::integer
    from (select *, row_number() over (order by id) as number from host) h
    left join host_usage u on u.host_id = h.id
    left join (select host_id, count(*) as building from server
      where observed_generation < generation group by host_id) b on b.host_id = h.id
    where (${options.id ?? null}::uuid is null or h.id = ${options.id ?? null}::uuid)
      and (${options.marker ?? null}::uuid is null or h.id > ${options.marker ?? null}::uuid)
    order by h.id limit ${options.limit ?? null}::bigint`.execute(db);
  return rows;
}

/** Servers by host, for those who ask hypervisors `with_servers`. */
export async function serversOfHypervisors(
  db: Queryable,
  hostIds: readonly string[],
): Promise<Map<string, { id: string; name: string }[]>> {
  const { rows } = await sql<{ host_id: string; id: string; name: string }>`
    select host_id, id, name from server where host_id = any(${hostIds}::uuid[]) order by id`.execute(db);
  const byHost = new Map<string, { id: string; name: string }[]>();
  for (const { host_id, id, name } of rows) {
    const list = byHost.get(host_id) ?? [];
    list.push({ id, name });
    byHost.set(host_id, list);
  }
  return byHost;
}

export interface ProjectOnHost {
  project_id: string;
  vcpus: number;
  memory_mib: number;
  disk_gib: number;
}

export async function projectsOnHost(db: Queryable, hostId: string): Promise<ProjectOnHost[]> {
  const { rows } = await sql<ProjectOnHost>`select project_id, sum(vcpus)::integer as vcpus,
      sum(memory_mib)::bigint as memory_mib, sum(disk_gib)::bigint as disk_gib
    from server where host_id = ${hostId} group by project_id order by project_id`.execute(db);
  return rows;
}

/** What administrators say of a host; what is not named stays. */
export interface HostWord {
  /** Whether new servers may be placed there, and why not. */
  open?: { enabled: boolean; reason: string | null };
  /** It is down, whatever its stream says; false takes that back. */
  forcedDown?: boolean;
}

/**
 * That a host is closed stays whose word it was first; that it is down is said anew each time, for it holds only of a host that was not heard since. Of one that shall
 * be empty what is said of new servers holds from the end of that on (`../maintenance/`). Answers false where there is no such host.
 * @throws CloudError `conflict` where such a one is to be opened
 */
export async function setHostWord(
  db: Tx,
  hostId: string,
  { open, forcedDown }: HostWord,
  by: Pick<Caller, 'userId' | 'userName'>,
): Promise<boolean> {
  const said = sql`jsonb_build_object('user_id', ${by.userId}::text, 'user_name', ${by.userName}::text,
    'at', to_char(now() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))`;
  const { rows } = await sql<{
    name: string;
    empties: boolean;
  }>`select name, maintenance is not null as empties from host
    where id = ${hostId} for update`.execute(db);
  const host = rows[0];
  if (!host) return false;
  if (host.empties && open?.enabled) throw new CloudError('conflict', 'host_in_maintenance', { host: host.name });
  await sql`update host set
      ${
        open && !host.empties
          ? sql`disabled_by = case when ${open.enabled}::boolean then null
          when enabled or disabled_reason is distinct from ${open.reason}::text then ${said} else disabled_by end,
        enabled = ${open.enabled}, disabled_reason = ${open.reason},`
          : sql``
      }
      ${
        open && host.empties
          ? sql`maintenance = jsonb_set(maintenance, '{before}',
          jsonb_build_object('enabled', false, 'disabled_reason', ${open.reason}::text, 'disabled_by', ${said})),`
          : sql``
      }
      ${
        forcedDown === undefined
          ? sql``
          : sql`forced_down_by = case when ${forcedDown}::boolean then ${said} end,
        forced_down = ${forcedDown},`
      }
      updated_at = now() where id = ${hostId}`.execute(db);
  return true;
}
