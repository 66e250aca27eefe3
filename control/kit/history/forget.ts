/**
 * What the history says of those who are gone. A project's or a user's last changes stay readable for a day, so that whoever
 * watches has read them and an administrator can ask what happened; then everything that belongs to a deleted project goes, and of a
 * deleted user what names them. Ids stay where others' history has them (who did it): they name nobody any more. See
 * docs/decisions/0006-history.md.
 */
import { sql } from 'kysely';
import type { Tx } from '../database/database.ts';
import type { ResourceDescriptor } from '../resource.ts';

export interface Gone {
  id: string;
  kind: 'project' | 'user';
}

const readableMs = 24 * 3600 * 1000;

/** Those whose time has come, oldest first. */
export async function goneOnes(tx: Tx, now: Date, limit: number): Promise<Gone[]> {
  const { rows } = await sql<Gone>`select id, kind from forgotten
    where deleted_at < ${new Date(now.getTime() - readableMs)} order by deleted_at limit ${limit}`.execute(tx);
  return rows;
}

/** Some of it; answers whether that was all, and then remembers them no more. */
export async function forget(
  tx: Tx,
  { id, kind }: Gone,
  { resources, limit }: { resources: readonly ResourceDescriptor[]; limit: number },
): Promise<boolean> {
  let deleted = 0n;
  for (const { table, about } of kind === 'project' ? ofProject(id) : ofUser(id, resources)) {
    // By their place, since DELETE has no limit; places are of one part.
    const { numAffectedRows } = await sql`delete from ${sql.table(table)} t using
      (select tableoid, ctid from ${sql.table(table)} where ${about} limit ${limit}) found
      where t.tableoid = found.tableoid and t.ctid = found.ctid`.execute(tx);
    deleted += numAffectedRows ?? 0n;
  }
  if (deleted > 0n) return false;
  await sql`delete from forgotten where id = ${id}`.execute(tx);
  return true;
}

const ofProject = (id: string) =>
  ['change', 'operation', 'decision'].map((table) => ({ table, about: sql`project_id = ${id}::uuid` }));

const ofUser = (id: string, resources: readonly ResourceDescriptor[]) =>
  resources.flatMap(({ noun, aboutUser = [] }) =>
    aboutUser.map((column) => ({
      table: 'change',
      about: sql`resource_type = ${noun} and body ->> ${column}::text = ${id}`,
    })),
  );
