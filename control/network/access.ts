/**
 * Who may see and use networks. A network is its project's; a shared one is everyone's to use, an external one everyone's
 * to see (for gateways and floating IPs). As SQL for lists, as functions for single rows; both from the same rule.
 */
import { type RawBuilder, sql } from 'kysely';
import { type Caller, isAdmin } from '../kit/caller.ts';

/** For rows that belong to one project only. */
export function ownCondition(caller: Caller, table: string): RawBuilder<unknown> {
  if (isAdmin(caller)) return sql`true`;
  return sql`${sql.ref(`${table}.project_id`)} = ${caller.projectId}`;
}

/** For a network aliased `table`. */
export function networkCondition(caller: Caller, table: string): RawBuilder<unknown> {
  if (isAdmin(caller)) return sql`true`;
  const column = (name: string) => sql.ref(`${table}.${name}`);
  return sql`(${column('project_id')} = ${caller.projectId} or (${column('shared')} or ${column('external')}))`;
}

/** For rows aliased `table` that belong to one project, and are everyone's to see and use where `shared`. */
export function sharedCondition(caller: Caller, table: string): RawBuilder<unknown> {
  if (isAdmin(caller)) return sql`true`;
  return sql`(${sql.ref(`${table}.project_id`)} = ${caller.projectId} or ${sql.ref(`${table}.shared`)})`;
}

export const mayUseShared = (caller: Caller, row: { project_id: string; shared: boolean }): boolean =>
  isAdmin(caller) || row.project_id === caller.projectId || row.shared;

interface NetworkRights {
  project_id: string;
  shared: boolean;
  external: boolean;
}

export const maySeeNetwork = (caller: Caller, network: NetworkRights): boolean =>
  isAdmin(caller) || network.project_id === caller.projectId || network.shared || network.external;

/** May the caller put ports of its own on it? */
export const mayUseNetwork = (caller: Caller, network: NetworkRights): boolean =>
  isAdmin(caller) || network.project_id === caller.projectId || network.shared;
