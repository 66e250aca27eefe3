/**
 * The default security group of a project: made when it is first needed, with the rules of the template. Two transactions that need it at once make one: the partial unique index is the judge.
 */
import { sql } from 'kysely';
import { newId, type SecurityGroupId } from '../../../contract/ids.ts';
import type { Caller } from '../../kit/caller.ts';
import type { Queryable, Tx } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import { notFound } from '../../kit/refusal.ts';
import { sharedCondition } from '../access.ts';
import { readTemplate, rulesOf } from './template.ts';

export async function findDefaultGroup(db: Queryable, projectId: string): Promise<SecurityGroupId | undefined> {
  const { rows } = await sql<{
    id: SecurityGroupId;
  }>`select id from security_group where project_id = ${projectId} and is_default`.execute(db);
  return rows[0]?.id;
}

export async function ensureDefaultGroup(tx: Tx, projectId: string): Promise<SecurityGroupId> {
  for (;;) {
    const found = (await findDefaultGroup(tx, projectId)) ?? (await makeDefaultGroup(tx, projectId));
    // Undefined: another transaction made it and has committed since; the next look sees it.
    if (found) return found;
  }
}

async function makeDefaultGroup(tx: Tx, projectId: string): Promise<SecurityGroupId | undefined> {
  const { rows } = await sql<{ id: SecurityGroupId }>`
    insert into security_group (id, project_id, name, description, is_default)
    values (${newId()}, ${projectId}, 'default', 'Default security group', true)
    on conflict (project_id) where is_default do nothing returning id`.execute(tx);
  const [group] = rows;
  if (!group) return undefined;
  const rules = rulesOf(await readTemplate(tx, 'default'), { id: group.id, project_id: projectId });
  if (rules.length > 0) await tx.insertInto('security_group_rule').values(rules).execute();
  return group.id;
}

/**
 * All of these groups exist and the caller may use them (its own; any for administrators), until the transaction ends.
 * @throws CloudError `not_found`
 */
export async function holdGroups(tx: Tx, caller: Caller, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  const wanted = isOneOf(sql`id`, [...new Set(ids)]);
  // One round trip, but two statements: the right to them must be read as it is once they are held.
  const [, { rows }] = await Promise.all([
    sql`select from security_group where ${wanted} order by id for key share`.execute(tx),
    sql<{ id: string }>`select id from security_group
      where ${wanted} and ${sharedCondition(caller, 'security_group', 'security_group')}`.execute(tx),
  ]);
  const known = new Set(rows.map(({ id }) => id));
  const missing = ids.find((id) => !known.has(id));
  if (missing !== undefined) throw notFound('security_group', missing);
}
