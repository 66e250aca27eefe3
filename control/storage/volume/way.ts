/** A volume on its way to another host: how far its copy is, and what is waited for. Reads only. */
import { sql } from 'kysely';
import { type Caller, isAdmin } from '../../kit/caller.ts';
import type { Queryable } from '../../kit/database/database.ts';
import { findVolume, reachOf } from './store.ts';

export interface VolumeWay {
  /** `bring`: to the server that shall have it; `carry`: with the server that has it. */
  kind: 'bring' | 'carry' | 'migrate' | 'retype';
  server_id: string | null;
  /** Of what its layers take where it is, in bytes that hosts have seen: what of it is at the target. */
  copied_bytes: number;
  total_bytes: number;
  waiting_for: string | null;
  /** When it is given up; null: with its server. */
  deadline: Date | null;
  /** For administrators. */
  to_host: string | null;
  to_pool: string | null;
}

/** Null: it stays where it is. @throws CloudError `not_found`, also for a volume that is hidden from the caller */
export async function volumeWay(db: Queryable, caller: Caller, volumeId: string): Promise<VolumeWay | null> {
  const { id } = await findVolume(db, reachOf(caller), volumeId);
  const { rows } = await sql<VolumeWay>`
    select v.desired_task ->> 'kind' as kind, a.server_id, coalesce(c.copied, 0)::float8 as copied_bytes, coalesce(c.total, 0)::float8 as total_bytes,
      o.waiting_for, o.deadline, h.name as to_host, p.name as to_pool
    from volume v left join volume_attachment a on a.volume_id = v.id
      left join host h on h.id = (v.desired_task ->> 'target_host_id')::uuid
      left join storage_pool p on p.id = (v.desired_task ->> 'pool_id')::uuid
      left join lateral (select waiting_for, deadline from operation where resource_id = v.id and state = 'running'
        order by created_at desc limit 1) o on true
      left join lateral (
        select sum(s.observed_allocated_bytes) as total,
          sum(case when t.observed_state = 'ready' then s.observed_allocated_bytes else least(t.observed_allocated_bytes, s.observed_allocated_bytes) end) as copied
        from jsonb_each_text(v.desired_task -> 'copies') copy join volume_layer s on s.id = copy.key::uuid join volume_layer t on t.id = copy.value::uuid
      ) c on true
    where v.id = ${id} and v.desired_task ? 'target_host_id'`.execute(db);
  const [way] = rows;
  if (!way) return null;
  return isAdmin(caller)
    ? way
    : { ...way, waiting_for: way.waiting_for && 'its host to copy it', to_host: null, to_pool: null };
}
