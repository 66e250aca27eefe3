/**
 * Sharing with everybody, which a resource calls `shared` or `external`, as policies; and who would be left without a right. A
 * resource's own column repeats what its policies say, written in the same transaction.
 */
import { type RawBuilder, sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import type { Queryable, Tx } from '../../kit/database/database.ts';
import type { GrantAction, Shareable } from '../access.ts';

/** Policies for everybody. What is shared already stays as it is. */
export async function share(
  tx: Tx,
  type: Shareable,
  rows: readonly { id: string; project_id: string }[],
  action: GrantAction = 'access_as_shared',
): Promise<void> {
  if (rows.length === 0) return;
  const column = sql.ref(`${type}_id`);
  await sql`insert into rbac_policy (id, project_id, ${column}, action)
    select * from unnest(${rows.map(() => newId())}::uuid[], ${rows.map((row) => row.project_id)}::uuid[],
      ${rows.map((row) => row.id)}::uuid[], array_fill(${action}::text, array[${rows.length}::integer]))
    on conflict do nothing`.execute(tx);
}

/** No policy of this action for everybody any more; with `all`, for nobody at all. */
export async function unshare(
  tx: Tx,
  type: Shareable,
  id: string,
  action: GrantAction,
  options: { all?: boolean } = {},
): Promise<void> {
  const which = options.all ? sql`true` : sql`target_project_id is null`;
  await sql`delete from rbac_policy where ${sql.ref(`${type}_id`)} = ${id} and action = ${action} and ${which}`.execute(
    tx,
  );
}

/** Writes what the policies say into the resource, where it says otherwise. */
export async function repeatInResource(tx: Tx, type: Shareable, id: string): Promise<void> {
  const column = sql.ref(`${type}_id`);
  const has = (action: GrantAction, which: RawBuilder<unknown>) =>
    sql`exists (select from rbac_policy g where g.${column} = ${id} and g.action = ${action} and ${which})`;
  const shared = has('access_as_shared', sql`g.target_project_id is null`);
  const external = has('access_as_external', sql`true`);
  const set = type === 'network' ? sql`shared = ${shared}, external = ${external}` : sql`shared = ${shared}`;
  const differs = type === 'network' ? sql`(shared <> ${shared} or external <> ${external})` : sql`shared <> ${shared}`;
  await sql`update ${sql.table(type)} set ${set}, generation = generation + 1, updated_at = now()
    where id = ${id} and ${differs}`.execute(tx);
}

/** The projects that use a resource, by what the right is for. */
const users: Readonly<Record<Shareable, (id: string) => RawBuilder<unknown>>> = {
  network: (id) => sql`select project_id from port where network_id = ${id}
    and device_owner not in ('network:router_gateway', 'network:floatingip', 'network:distributed')`,
  subnet_pool: (id) => sql`select project_id from subnet where subnet_pool_id = ${id}`,
  address_scope: (id) => sql`select project_id from subnet_pool where address_scope_id = ${id}`,
  security_group: (id) => sql`select p.project_id from port_security_group g join port p on p.id = g.port_id
      where g.security_group_id = ${id}
    union all select project_id from security_group_rule where remote_group_id = ${id}`,
  address_group: (id) => sql`select project_id from security_group_rule where remote_address_group_id = ${id}`,
  qos_policy: (id) => sql`select project_id from port where qos_policy_id = ${id}
    union all select project_id from network where qos_policy_id = ${id}
    union all select project_id from floating_ip where qos_policy_id = ${id}
    union all select project_id from router where gateway_qos_policy_id = ${id}`,
};

const usersOutside = (id: string) => sql`select r.project_id from port p join router r on r.id::text = p.device_id
    where p.network_id = ${id} and p.device_owner = 'network:router_gateway'
  union all select project_id from floating_ip where floating_network_id = ${id}`;

/**
 * Is there one who uses the resource, and has no right to by now?
 * @param target whom to look at; null: everybody but the owner
 */
export async function leftWithoutRight(
  db: Queryable,
  type: Shareable,
  id: string,
  action: GrantAction,
  target: string | null,
): Promise<boolean> {
  const using = action === 'access_as_external' ? usersOutside(id) : users[type](id);
  const { rows } = await sql`select from (${using}) u
    where u.project_id <> (select project_id from ${sql.table(type)} where id = ${id})
      and (${target}::uuid is null or u.project_id = ${target}::uuid)
      and not exists (select from rbac_policy g where g.${sql.ref(`${type}_id`)} = ${id} and g.action = ${action}
        and (g.target_project_id is null or g.target_project_id = u.project_id))
    limit 1`.execute(db);
  return rows.length > 0;
}
