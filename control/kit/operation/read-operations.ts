/** Operations as rows, newest first; the rights are in the WHERE. */
import { type Selectable, sql } from 'kysely';
import type { Queryable } from '../database/database.ts';
import type { OperationTable } from '../database/schema.ts';

export type OperationRow = Selectable<OperationTable>;

export interface OperationQuery {
  /** Only this project's; undefined: all. */
  projectId?: string;
  id?: string;
  resourceId?: string;
  state?: OperationRow['state'];
  limit: number;
  /** Only those begun before this one; ids are in order of time. */
  before?: string;
}

export async function readOperations(db: Queryable, query: OperationQuery): Promise<OperationRow[]> {
  const { projectId, id, resourceId, state, limit, before } = query;
  const { rows } = await sql<OperationRow>`select * from operation where true
    ${projectId === undefined ? sql`` : sql`and project_id = ${projectId}::uuid`}
    ${id === undefined ? sql`` : sql`and id = ${id}::uuid`}
    ${resourceId === undefined ? sql`` : sql`and resource_id = ${resourceId}::uuid`}
    ${state === undefined ? sql`` : sql`and state = ${state}`}
    ${before === undefined ? sql`` : sql`and id < ${before}::uuid`}
    order by id desc limit ${limit}`.execute(db);
  return rows;
}
