/**
 * What a project still has, and its end. Keystone deletes a project under its resources; then nobody can see or remove them.
 * Here it is refused.
 *
 * No creation slips through. Whatever belongs to a project references it (migrations/0002-identity.sql), so a creation holds
 * the project's key until it commits, and a deletion locks the whole row before it counts. Creation first: the deletion waits,
 * then counts what was made, and is refused. Deletion first: the creation waits, then hears that there is no such project
 * (database.ts). PostgreSQL takes the key within the insert: no round trip more, and no creator that could forget it. A lock
 * beside the quota's would miss what is made without quota, such as a default security group.
 */
import { type RawBuilder, sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import type { ProjectId } from '../../contract/ids.ts';
import type { Tx } from '../kit/database/database.ts';

/** Tables whose rows people know and must remove themselves. Rows of all others go along: they reference with `cascade`. */
export const countedTables = [
  'server',
  'image',
  'floating_ip',
  'router',
  'network',
  'subnet',
  'port',
  'security_group',
] as const;

/** Rows among them that the cloud itself made and nobody has to remove. */
const furnishing: Readonly<Record<string, RawBuilder<unknown>>> = {
  port: sql`device_owner = 'network:distributed'`,
  security_group: sql`is_default`,
};

/** How many rows of each table the projects still have; tables they have none of are left out. */
async function resourcesLeft(tx: Tx, projectIds: readonly ProjectId[]): Promise<Record<string, number>> {
  const parts = countedTables.map(
    (table) => sql`select ${`${table}s`}::text as name, count(*) as number from ${sql.table(table)}
      where project_id = any(${[...projectIds]}::uuid[]) and not ${furnishing[table] ?? sql`false`}`,
  );
  const { rows } = await sql<{ name: string; number: number }>`
    select * from (${sql.join(parts, sql` union all `)}) c where number > 0`.execute(tx);
  return Object.fromEntries(rows.map(({ name, number }) => [name, number]));
}

/**
 * Makes sure that nothing but the cloud's own furnishing is left, and removes that.
 * @param projectIds locked for deletion
 * @throws CloudError `conflict`, details: what is left
 */
export async function clearProjects(tx: Tx, projectIds: readonly ProjectId[], subject: string): Promise<void> {
  if (projectIds.length === 0) return;
  const left = await resourcesLeft(tx, projectIds);
  const words = Object.entries(left).map(([name, number]) => `${number} ${name.replaceAll('_', ' ')}`);
  if (words.length > 0) {
    throw new CloudError('conflict', `${subject} can not be deleted while it has ${words.join(', ')}`, {
      details: { resources: left },
    });
  }
  await sql`delete from security_group where is_default and project_id = any(${[...projectIds]}::uuid[])`.execute(tx);
}
