/** Subnets that were made without a pool become a pool's, so that nobody is given their addresses again. */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { type Caller, isAdmin } from '../../kit/caller.ts';
import type { Tx } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import { forbidden } from '../../kit/rows.ts';
import { type Granted, grantsOf, maySee } from '../access.ts';
import { grownPrefixes } from './rules.ts';
import { checkScope } from './scope.ts';
import { haveCommon } from './space.ts';
import type { SubnetPoolRow } from './subnet-pool.ts';

export interface Onboarded {
  id: string;
  cidr: string;
}

/** @param pool its row is held */
export async function onboard(tx: Tx, caller: Caller, pool: SubnetPoolRow, networkId: string): Promise<Onboarded[]> {
  const [, { rows: found }] = await Promise.all([
    sql`select from network where id = ${networkId} for update`.execute(tx),
    sql<Granted>`select n.project_id, ${grantsOf('network', 'n')} as grants
      from network n where id = ${networkId}`.execute(tx),
  ]);
  const network = found[0];
  if (!network || !maySee(caller, network)) throw notFound('network', networkId);
  if (!isAdmin(caller) && network.project_id !== caller.projectId) throw forbidden('onboard_network_subnets');
  const { rows: subnets } = await sql<Onboarded>`select id, cidr::text from subnet
    where network_id = ${networkId} and ip_version = ${pool.ip_version}
      and subnet_pool_id is distinct from ${pool.id} order by id`.execute(tx);
  if (subnets.length === 0) return [];
  const { rows: taken } = await sql<{ cidr: string }>`select cidr::text from subnet
    where subnet_pool_id = ${pool.id}`.execute(tx);
  const allocated = taken.map(({ cidr }) => cidr);
  for (const { id, cidr } of subnets) {
    if (haveCommon([cidr], allocated)) {
      throw new CloudError('invalid', 'onboarded_subnet_conflicts', { subnet: id, cidr, pool: pool.id });
    }
  }
  const prefixes = grownPrefixes(pool, [...pool.prefixes, ...subnets.map(({ cidr }) => cidr)]);
  await checkScope(tx, caller, { ...pool, prefixes }, pool.address_scope_id);
  await sql`update subnet_pool set prefixes = ${prefixes}::cidr[], generation = generation + 1, updated_at = now()
    where id = ${pool.id}`.execute(tx);
  await sql`update subnet set subnet_pool_id = ${pool.id}, generation = generation + 1, updated_at = now()
    where id = any(${subnets.map(({ id }) => id)}::uuid[])`.execute(tx);
  return subnets;
}
