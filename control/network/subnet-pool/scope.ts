/** A pool and its address scope: whose it may be, and that the prefixes of a scope are all different. */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import type { Caller } from '../../kit/caller.ts';
import type { Tx } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import { grantsOf, mayUse } from '../access.ts';
import type { AddressScopeRow } from '../address-scope/address-scope.ts';
import { haveCommon } from './space.ts';

interface Scoped {
  id: string;
  ip_version: 4 | 6;
  prefixes: readonly string[];
  address_scope_id: string | null;
}

/**
 * Holds the scope's row until the transaction ends, so that of two pools with one prefix the second is refused.
 * @param before the scope that the pool is in already, if it is
 * @throws CloudError
 */
export async function checkScope(tx: Tx, caller: Caller, pool: Scoped, before: string | null = null): Promise<void> {
  const { address_scope_id: id } = pool;
  if (id !== before) await checkRescoping(tx, pool);
  if (id === null) return;
  // One round trip, but two statements: the right to it must be read as it is once it is held.
  const [, { rows }] = await Promise.all([
    sql`select from address_scope where id = ${id} for no key update`.execute(tx),
    sql<AddressScopeRow>`select s.*, ${grantsOf('address_scope', 's')} as grants
      from address_scope s where id = ${id}`.execute(tx),
  ]);
  const scope = rows[0];
  if (!scope || (id !== before && !mayUse(caller, scope))) throw notFound('address_scope', id);
  if (scope.ip_version !== pool.ip_version) {
    throw new CloudError('invalid', 'illegal_subnet_pool_ip_version_association_to_address_scope', {
      pool: pool.id,
      scope: id,
      ip_version: scope.ip_version,
    });
  }
  const { rows: others } = await sql<{ prefixes: string[] }>`select prefixes::text[] as prefixes from subnet_pool
    where address_scope_id = ${id} and id <> ${pool.id}`.execute(tx);
  if (others.some(({ prefixes }) => haveCommon(prefixes, pool.prefixes))) {
    throw new CloudError('conflict', 'address_scope_prefix_conflict', {});
  }
}

/** All subnets of a network and IP version share one scope, so a pool takes another scope only with all of them. */
async function checkRescoping(tx: Tx, pool: Scoped): Promise<void> {
  const { rows } = await sql`select from subnet s join subnet other on other.network_id = s.network_id
      and other.ip_version = s.ip_version and other.subnet_pool_id is distinct from s.subnet_pool_id
    where s.subnet_pool_id = ${pool.id} limit 1`.execute(tx);
  if (rows.length > 0) throw new CloudError('invalid', 'network_address_scope_affinity_error', {});
}
