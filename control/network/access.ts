/**
 * Who may see and use what of the network. A resource is its project's; by policies (`rbac-policy/`) it is others' too, to use
 * ("as shared"), or, a network, to see for gateways and floating IPs ("as external"). As SQL for lists, as functions for single rows;
 * both from the same rule.
 */
import { type RawBuilder, sql } from 'kysely';
import { type Caller, isAdmin } from '../kit/caller.ts';
import type { Queryable } from '../kit/database/database.ts';
import type { Listing } from '../kit/listing.ts';

/** What policies are about: the nouns of the tables. */
export type Shareable = 'network' | 'subnet_pool' | 'address_scope' | 'security_group' | 'address_group' | 'qos_policy';
export type GrantAction = 'access_as_shared' | 'access_as_external';

/** One policy as far as rights go. */
export interface Grant {
  action: GrantAction;
  /** Null: everybody. */
  target: string | null;
}

export interface Granted {
  project_id: string;
  grants: readonly Grant[];
}

/** For rows that belong to one project only. */
export function ownCondition(caller: Caller, table: string): RawBuilder<unknown> {
  if (isAdmin(caller)) return sql`true`;
  return sql`${sql.ref(`${table}.project_id`)} = ${caller.projectId}`;
}

/** The ids of what policies give to the caller's project. Read once a statement, however many rows it looks at. */
const grantedIds = (caller: Caller, type: Shareable, action?: GrantAction) => {
  const id = sql.ref(`g.${type}_id`);
  const only = action === undefined ? sql`` : sql` and g.action = ${action}`;
  return sql`array(select ${id} from rbac_policy g
    where (g.target_project_id = ${caller.projectId} or g.target_project_id is null) and ${id} is not null${only})`;
};

/** Its own, and what policies give it, for a row of `type` whose project and id are these. */
function reach(
  caller: Caller,
  type: Shareable,
  columns: { project: string; id: string },
  action?: GrantAction,
): RawBuilder<unknown> {
  if (isAdmin(caller)) return sql`true`;
  return sql`(${sql.ref(columns.project)} = ${caller.projectId}
    or ${sql.ref(columns.id)} = any(${grantedIds(caller, type, action)}))`;
}

/** May see; for a row of `type` aliased `table`. */
export const sharedCondition = (caller: Caller, table: string, type: Shareable): RawBuilder<unknown> =>
  reach(caller, type, { project: `${table}.project_id`, id: `${table}.id` });

/** For a row aliased `table` that goes with another one, of `type`, which `table` names: the other is the caller's to use. */
export const goesWith = (caller: Caller, table: string, type: Shareable): RawBuilder<unknown> =>
  reach(caller, type, { project: `${table}.project_id`, id: `${table}.${type}_id` }, 'access_as_shared');

/** May the caller's project put its ports on it? For a network aliased `table`; that administrators may more does not count. */
export const usedByProject = (caller: Caller, table: string): RawBuilder<unknown> =>
  sql`(${sql.ref(`${table}.project_id`)} = ${caller.projectId}
    or ${sql.ref(`${table}.id`)} = any(${grantedIds(caller, 'network', 'access_as_shared')}))`;

/** The policies of a row of `type` aliased `table`, for {@link maySee} and {@link mayUse}. */
export const grantsOf = (type: Shareable, table: string): RawBuilder<unknown> => sql`coalesce((
  select jsonb_agg(jsonb_build_object('action', g.action, 'target', g.target_project_id))
  from rbac_policy g where ${sql.ref(`g.${type}_id`)} = ${sql.ref(`${table}.id`)}), '[]')`;

const isFor = (caller: Caller, grant: Grant): boolean => grant.target === null || grant.target === caller.projectId;

/** Shown as `shared`: with everybody, or with who asks. */
export const isShared = (caller: Caller, { grants }: Pick<Granted, 'grants'>): boolean =>
  grants.some((grant) => grant.action === 'access_as_shared' && isFor(caller, grant));

export const maySee = (caller: Caller, row: Granted): boolean =>
  isAdmin(caller) || row.project_id === caller.projectId || row.grants.some((grant) => isFor(caller, grant));

/** Of a network: may the caller put ports of its own on it? */
export const mayUse = (caller: Caller, row: Granted): boolean =>
  isAdmin(caller) || row.project_id === caller.projectId || isShared(caller, row);

/** Whether a row that is not the caller's to change is at least there for it: for `lockOwn`. */
export async function sees(db: Queryable, caller: Caller, listing: Listing<unknown>, id: string): Promise<boolean> {
  const { rows } = await sql`select from ${listing.from} where t.id = ${id} and ${listing.visible(caller)}`.execute(db);
  return rows.length > 0;
}
