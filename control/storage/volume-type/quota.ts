/** What a project may have of one type, under Cinder's names: `volumes_<type>`, `gigabytes_<type>`, `snapshots_<type>`. */
import { type RawBuilder, sql } from 'kysely';
import type { Tx } from '../../kit/database/database.ts';
import type { Usage } from '../../kit/resource.ts';

const kinds = ['volumes', 'gigabytes', 'snapshots'] as const;

/** It is, or is on its way to be (../volume/move.ts): until it is there it counts for both. */
const isOfType = (volume: RawBuilder<unknown>, id: string) =>
  sql`(${volume}.volume_type_id = ${id} or ${volume}.desired_task ->> 'type_id' = ${id}::text)`;

/** How each is counted. Snapshots take of the space, too. */
export const usageOfType = ({ id, name }: { id: string; name: string }): Usage => ({
  [`volumes_${name}`]: (p) =>
    sql`select count(*) as used from volume where project_id = ${p} and ${isOfType(sql`volume`, id)} and consumes_quota`,
  [`gigabytes_${name}`]: (p) => sql`select
    (select coalesce(sum(size_gib), 0) from volume where project_id = ${p} and ${isOfType(sql`volume`, id)} and consumes_quota)
    + (select coalesce(sum(s.size_gib), 0) from volume_snapshot s join volume v on v.id = s.volume_id
        where s.project_id = ${p} and ${isOfType(sql`v`, id)} and s.consumes_quota) as used`,
  [`snapshots_${name}`]: (p) => sql`select count(*) as used from volume_snapshot s join volume v on v.id = s.volume_id
    where s.project_id = ${p} and ${isOfType(sql`v`, id)} and s.consumes_quota`,
});

/** A type's limits go with its name. */
export async function renameTypeQuota(tx: Tx, from: string, to: string): Promise<void> {
  if (from === to) return;
  for (const kind of kinds) {
    await sql`update quota set resource = ${`${kind}_${to}`} where resource = ${`${kind}_${from}`}`.execute(tx);
  }
}

/** And end with it: another type of that name has limits of its own. */
export async function dropTypeQuota(tx: Tx, name: string): Promise<void> {
  await sql`delete from quota where resource = any(${kinds.map((kind) => `${kind}_${name}`)}::text[])`.execute(tx);
}
