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

import { sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import type { ProjectId } from '../../contract/ids.ts';
import type { Tx } from '../kit/database/database.ts';
import type { ResourceDescriptor } from '../kit/resource.ts';

interface Clearing {
  /** All of the cloud; those that keep a project say so. */
  resources: readonly ResourceDescriptor[];
  /** Locked for deletion. */
  projectIds: readonly ProjectId[];
  /** What is deleted. */
  noun: 'domain' | 'project';
  id: string;
}

/** How many rows of each table the projects still have; tables they have none of are left out. */
async function resourcesLeft(tx: Tx, { resources, projectIds }: Clearing): Promise<Record<string, number>> {
  // What refers to others comes first: the order in which people can remove them.
  const parts = resources.toReversed().flatMap(({ noun, keepsProject }) =>
    keepsProject
      ? sql`select ${`${noun}s`}::text as name, count(*) as number from ${sql.table(noun)}
          where project_id = any(${[...projectIds]}::uuid[]) and not ${keepsProject.except ?? sql`false`}`
      : [],
  );
  const { rows } = await sql<{ name: string; number: number }>`
    select * from (${sql.join(parts, sql` union all `)}) c where number > 0`.execute(tx);
  return Object.fromEntries(rows.map(({ name, number }) => [name, number]));
}

/**
 * Makes sure that nothing but the cloud's own furnishing is left, and removes that.
 * @throws CloudError `conflict`, details: what is left
 */
export async function clearProjects(tx: Tx, clearing: Clearing): Promise<void> {
  const { projectIds, noun, id } = clearing;
  if (projectIds.length === 0) return;
  const left = await resourcesLeft(tx, clearing);
  if (Object.keys(left).length > 0) {
    throw new CloudError('conflict', 'project_resources_left', { noun, id, resources: left });
  }
  await sql`delete from security_group where is_default and project_id = any(${[...projectIds]}::uuid[])`.execute(tx);
}
