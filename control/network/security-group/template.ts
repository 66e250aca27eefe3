/** What a new group takes from the template. Part of the caller's transaction. */
import { sql } from 'kysely';
import { newOrderedId } from '../../../contract/ids.ts';
import type { Tx } from '../../kit/database/database.ts';
import type { DefaultSecurityGroupRuleRow } from './default-rule.ts';
import type { Filter } from './rules.ts';

/** The rules that a new default group, or another new group, begins with. Groups that they name stay until the transaction ends. */
export async function readTemplate(tx: Tx, kind: 'default' | 'other'): Promise<readonly DefaultSecurityGroupRuleRow[]> {
  const used = kind === 'default' ? sql`used_in_default_group` : sql`used_in_other_groups`;
  const { rows } = await sql<DefaultSecurityGroupRuleRow>`select * from default_security_group_rule
    where ${used} order by created_at, direction, ethertype, id`.execute(tx);
  const named = (column: 'remote_group_id' | 'remote_address_group_id') => rows.flatMap((rule) => rule[column] ?? []);
  const groups = await keepThere(tx, 'security_group', named('remote_group_id'));
  const addresses = await keepThere(tx, 'address_group', named('remote_address_group_id'));
  return rows.filter(
    (rule) =>
      (rule.remote_group_id === null || groups.has(rule.remote_group_id)) &&
      (rule.remote_address_group_id === null || addresses.has(rule.remote_address_group_id)),
  );
}

/** Which of these there are; they stay until the transaction ends. */
export async function keepThere(
  tx: Tx,
  type: 'security_group' | 'address_group',
  ids: readonly string[],
): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const { rows } = await sql<{ id: string }>`select id from ${sql.table(type)}
    where id = any(${[...new Set(ids)]}::uuid[]) for key share`.execute(tx);
  return new Set(rows.map(({ id }) => id));
}

/** The template's rules as rows of the group: without their descriptions, which are the administrators' own. */
export function rulesOf(template: readonly DefaultSecurityGroupRuleRow[], group: { id: string; project_id: string }) {
  return template.map((rule) => ({
    id: newOrderedId(),
    project_id: group.project_id,
    security_group_id: group.id,
    ...filterOf(rule),
    remote_group_id: rule.remote_own_group ? group.id : rule.remote_group_id,
  }));
}

/** What the rule lets through, but for `remote_own_group`. */
export const filterOf = (rule: DefaultSecurityGroupRuleRow): Omit<Filter, 'description'> => ({
  direction: rule.direction,
  ethertype: rule.ethertype,
  protocol: rule.protocol,
  port_range_min: rule.port_range_min,
  port_range_max: rule.port_range_max,
  remote_ip_prefix: rule.remote_ip_prefix,
  remote_group_id: rule.remote_group_id,
  remote_address_group_id: rule.remote_address_group_id,
});
