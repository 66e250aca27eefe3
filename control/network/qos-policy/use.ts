/**
 * Who keeps to which policy. The functions are part of the transaction that lets something keep to one: the policy's row is held
 * in it, so that neither it nor the right to it goes meanwhile unseen.
 */
import { type RawBuilder, sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import type { Caller } from '../../kit/caller.ts';
import type { Tx } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import { sharedCondition } from '../access.ts';

/** A wish: undefined says nothing, null no policy. */
type Wanted = string | null | undefined;

async function seenPolicies(tx: Tx, caller: Caller, ids: readonly string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  // One round trip, but two statements: the right to them must be read as it is once they are held.
  const [, { rows }] = await Promise.all([
    sql`select from qos_policy where id = any(${[...ids]}::uuid[]) order by id for key share`.execute(tx),
    sql<{ id: string }>`select t.id from qos_policy t where t.id = any(${[...ids]}::uuid[])
      and ${sharedCondition(caller, 't', 'qos_policy')}`.execute(tx),
  ]);
  return new Set(rows.map(({ id }) => id));
}

/** @throws CloudError `not_found` for one that the caller does not see */
export async function requireQosPolicies(tx: Tx, caller: Caller, wanted: readonly Wanted[]): Promise<void> {
  const ids = [...new Set(wanted.filter((id) => id !== undefined && id !== null))];
  const seen = await seenPolicies(tx, caller, ids);
  const missing = ids.find((id) => !seen.has(id));
  if (missing !== undefined) throw notFound('qos_policy', missing);
}

/**
 * For something that keeps to a policy, and shall to another one or none.
 * @throws CloudError `forbidden` where the one before is none of the caller's: who put it on takes it off
 */
export async function checkQosChange(tx: Tx, caller: Caller, now: string | null, wanted: Wanted): Promise<void> {
  if (wanted === undefined || wanted === now) return;
  const seen = await seenPolicies(
    tx,
    caller,
    [now, wanted].filter((id) => id !== null),
  );
  if (wanted !== null && !seen.has(wanted)) throw notFound('qos_policy', wanted);
  if (now !== null && !seen.has(now))
    throw new CloudError('forbidden', 'policy_remove_authorization_error', { id: now });
}

/** The rules of the policy whose id the expression is, as the projection reads them. */
export const qosRulesOf = (policyId: RawBuilder<unknown>): RawBuilder<unknown> => sql`coalesce((
  select json_agg(json_build_object('kind', kind, 'direction', direction, 'max_kbps', max_kbps,
    'max_burst_kbps', max_burst_kbps, 'dscp_mark', dscp_mark, 'min_kbps', min_kbps) order by kind, direction)
  from qos_rule where qos_policy_id = ${policyId}), '[]')`;

/** The default policy of a project, which its new networks get, as an expression; null where there is none. */
export const defaultQosPolicyOf = (projectId: string): RawBuilder<string | null> =>
  sql`(select id from qos_policy where project_id = ${projectId} and is_default)`;

export type QosKeeper = 'port' | 'network' | 'floating_ip' | 'router';

/** What keeps to a policy, by type: for refusals. A policy in use is not deleted. */
export async function keeperOf(tx: Tx, policyId: string): Promise<{ type: QosKeeper; id: string } | undefined> {
  const { rows } = await sql<{ type: QosKeeper; id: string }>`
    (select 'port' as type, id from port where qos_policy_id = ${policyId} limit 1)
    union all (select 'network', id from network where qos_policy_id = ${policyId} limit 1)
    union all (select 'floating_ip', id from floating_ip where qos_policy_id = ${policyId} limit 1)
    union all (select 'router', id from router where gateway_qos_policy_id = ${policyId} limit 1)
    limit 1`.execute(tx);
  return rows[0];
}
