/** Small SQL that the network resources share: locking a row that a caller wants to change. */

import { sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import { type Caller, isAdmin } from './caller.ts';
import type { Tx } from './database/database.ts';
import { type Noun, notFound } from './refusal.ts';

/**
 * The project that a new resource shall belong to: the caller's, or another one that an administrator names.
 * @throws CloudError `forbidden` to who may only read; `invalid` to who names a project that it does not act in, as Neutron has it
 */
export function projectFor(caller: Caller, wanted: string | undefined, operation: string): string {
  const own = caller.projectId;
  const writes = ['member', 'manager', 'admin'].some((role) => caller.roles.has(role));
  if (!writes) throw forbidden(operation);
  if (wanted !== undefined && wanted !== own) {
    if (!isAdmin(caller)) throw new CloudError('invalid', 'project_of_another', {});
    return wanted;
  }
  if (own === null) {
    throw new CloudError('invalid', 'project_required', { operation });
  }
  return own;
}

/** @param attribute the one part of the request that the caller may not ask for */
export const forbidden = (operation: string, attribute?: string) =>
  new CloudError('forbidden', 'policy_not_authorized', { operation, ...(attribute !== undefined && { attribute }) });

/** @throws CloudError `forbidden` when the caller may only read */
export function requireWriter(caller: Caller, operation: string): void {
  if (!['member', 'manager', 'admin'].some((role) => caller.roles.has(role))) throw forbidden(operation);
}

/**
 * Locks the row that the caller wants to change and answers it. What the caller may not see is not found; what it may
 * see but not change is forbidden.
 */
export async function lockOwn<Row extends { id: string; project_id: string }>(
  tx: Tx,
  caller: Caller,
  noun: Noun,
  id: string,
  operation: string,
  options: { maySee?: (row: Row) => boolean | Promise<boolean> } = {},
): Promise<Row> {
  const { rows } = await sql<Row>`select * from ${sql.table(noun)} where id = ${id} for update`.execute(tx);
  const row = rows[0];
  const own = row && (isAdmin(caller) || row.project_id === caller.projectId);
  if (!row || (!own && !(await options.maySee?.(row)))) throw notFound(noun, id);
  if (!own) throw forbidden(operation);
  requireWriter(caller, operation);
  return checkRevision(caller, noun, row);
}

/** Held under the row's lock: of several who saw one revision and change it, the first does. */
export function checkRevision<Row extends { id: string; generation?: number }>(
  caller: Caller,
  noun: Noun,
  row: Row,
): Row {
  const { onlyAt } = caller;
  if (onlyAt?.noun !== noun || onlyAt.id !== row.id || onlyAt.generation === row.generation) return row;
  throw new CloudError('conflict', 'revision_number_constraint_failed', {
    expected: onlyAt.generation,
    current: row.generation ?? 0,
  });
}

/** Columns of every changed row: the generation is Neutron's revision_number. */
export const touched = { generation: sql<number>`generation + 1`, updated_at: sql<Date>`now()` };
