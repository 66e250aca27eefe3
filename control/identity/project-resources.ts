/** What a project still has. Keystone deletes a project under its resources; then nobody can see or remove them. */
import { type RawBuilder, sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import type { ProjectId } from '../../contract/ids.ts';
import type { Tx } from '../database/database.ts';

/** Tables whose rows people know and must remove themselves. Names as callers know them. */
const counted: Readonly<Record<string, RawBuilder<unknown>>> = {
  servers: sql`select project_id from server`,
  images: sql`select project_id from image`,
  floating_ips: sql`select project_id from floating_ip`,
  routers: sql`select project_id from router`,
  networks: sql`select project_id from network`,
  ports: sql`select project_id from port where device_owner <> 'network:distributed'`,
  security_groups: sql`select project_id from security_group where not is_default`,
};

/** How many of each resource the projects still have; resources they have none of are left out. */
export async function projectResources(tx: Tx, projectIds: readonly ProjectId[]): Promise<Record<string, number>> {
  const parts = Object.entries(counted).map(
    ([name, rows]) =>
      sql`select ${name}::text as name, count(*) as number from (${rows}) r where project_id = any(${[...projectIds]}::uuid[])`,
  );
  const { rows } = await sql<{ name: string; number: number }>`
    select * from (${sql.join(parts, sql` union all `)}) c where number > 0`.execute(tx);
  return Object.fromEntries(rows.map(({ name, number }) => [name, number]));
}

/**
 * Makes sure that nothing but the cloud's own furnishing is left, and removes that.
 * @throws CloudError `conflict`, details: what is left
 */
export async function clearProjects(tx: Tx, projectIds: readonly ProjectId[], subject: string): Promise<void> {
  if (projectIds.length === 0) return;
  const left = await projectResources(tx, projectIds);
  const words = Object.entries(left).map(([name, number]) => `${number} ${name.replaceAll('_', ' ')}`);
  if (words.length > 0) {
    throw new CloudError('conflict', `${subject} can not be deleted while it has ${words.join(', ')}`, {
      details: { resources: left },
    });
  }
  const ids = sql`any(${[...projectIds]}::uuid[])`;
  await sql`
    with groups as (delete from security_group where is_default and project_id = ${ids}),
      quotas as (delete from quota where project_id = ${ids})
    delete from flavor_access where project_id = ${ids}`.execute(tx);
}
