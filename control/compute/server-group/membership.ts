/** Servers join a group when they are made, never later. */
import { sql } from 'kysely';
import type { Tx } from '../../kit/database/database.ts';
import type { Quota } from '../../kit/quota/quota.ts';
import { notFound } from '../../kit/refusal.ts';

/**
 * The project's group, which stays until the transaction ends, and nobody else's servers join it meanwhile.
 * @returns how many members it has and may have
 * @throws CloudError `not_found`
 */
export async function lockServerGroup(tx: Tx, projectId: string, id: string): Promise<Quota> {
  // Two statements: the count must not see the group as it was before the lock was ours. The lock lets the servers of those who hold
  // none be written: a foreign key takes one that is weaker.
  const [{ rows: found }, { rows: counted }] = await Promise.all([
    sql`select from server_group where id = ${id}::uuid and project_id = ${projectId} for no key update`.execute(tx),
    sql<{ used: number; maximum: number | null }>`select
      (select count(*) from server where server_group_id = ${id}::uuid) as used,
      (select maximum from quota where resource = 'server_group_members'
        and (project_id = ${projectId} or project_id is null) order by project_id nulls last limit 1) as maximum`.execute(
      tx,
    ),
  ]);
  if (found.length === 0) throw notFound('server_group', id);
  return { server_group_members: counted[0]! };
}
