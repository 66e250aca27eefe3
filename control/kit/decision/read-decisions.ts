/** Why-records as rows, newest first; the rights are in the WHERE. Whoever decides writes them, in the transaction that decides. */
import { type Selectable, sql } from 'kysely';
import type { Queryable } from '../database/database.ts';
import type { DecisionTable } from '../database/schema.ts';

export type DecisionRow = Selectable<DecisionTable>;

export interface DecisionQuery {
  /** Only this project's; undefined: all. */
  projectId?: string;
  id?: string;
  resourceId?: string;
  limit: number;
  /** Only those made before this one; ids are in order of time. */
  before?: string;
}

export async function readDecisions(db: Queryable, query: DecisionQuery): Promise<DecisionRow[]> {
  const { projectId, id, resourceId, limit, before } = query;
  const { rows } = await sql<DecisionRow>`select * from decision where true
    ${projectId === undefined ? sql`` : sql`and project_id = ${projectId}::uuid`}
    ${id === undefined ? sql`` : sql`and id = ${id}::uuid`}
    ${resourceId === undefined ? sql`` : sql`and resource_id = ${resourceId}::uuid`}
    ${before === undefined ? sql`` : sql`and id < ${before}::uuid`}
    order by id desc limit ${limit}`.execute(db);
  return rows;
}
