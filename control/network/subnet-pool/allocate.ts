/**
 * Prefixes for new subnets, out of pools. A pool's row is held until the transaction ends, so what was free stays free, and a quota
 * is exact however many ask at once; several pools are locked in the order of their ids, before any network: nobody waits in a circle.
 * The truth of what is taken are the subnets themselves; a crash leaves nothing.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { bitsOf, parseCidr } from '../../kit/address.ts';
import type { Caller } from '../../kit/caller.ts';
import type { Tx } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import { grantsOf, mayUse } from '../access.ts';
import { cut, isWithin, minus } from './space.ts';
import type { SubnetPoolRow } from './subnet-pool.ts';

export interface PrefixWish {
  project_id: string;
  ip_version: 4 | 6;
  /** This very prefix. */
  cidr?: string | undefined;
  /** Any one of this length; the pool says which where there is neither. */
  prefix_length?: number | undefined;
  subnet_pool_id?: string | undefined;
  /** The one that is everybody's for this IP version. */
  use_default_subnet_pool?: boolean | undefined;
}

export interface Prefix {
  cidr: string;
  subnet_pool_id: string | null;
}

interface OpenPool extends SubnetPoolRow {
  taken: { cidr: string; project_id: string }[];
}

/** One prefix for each wish, those from pools found and held. @throws CloudError */
export async function takePrefixes(tx: Tx, caller: Caller, wishes: readonly PrefixWish[]): Promise<Prefix[]> {
  const defaults = await findDefaults(tx, wishes);
  const poolOf = (wish: PrefixWish) =>
    wish.use_default_subnet_pool ? defaults.get(wish.ip_version) : wish.subnet_pool_id;
  const ids = [...new Set(wishes.flatMap((wish) => poolOf(wish) ?? []))].sort();
  const pools = ids.length === 0 ? new Map<string, OpenPool>() : await lockPools(tx, caller, ids);
  return wishes.map((wish) => {
    const id = poolOf(wish);
    if (id !== undefined) return { cidr: take(pools.get(id)!, wish), subnet_pool_id: id };
    if (wish.cidr === undefined) throw new CloudError('invalid', 'subnet_without_cidr_or_pool', {});
    return { cidr: wish.cidr, subnet_pool_id: null };
  });
}

async function findDefaults(tx: Tx, wishes: readonly PrefixWish[]): Promise<Map<4 | 6, string>> {
  const versions = new Set(wishes.filter((wish) => wish.use_default_subnet_pool).map((wish) => wish.ip_version));
  if (versions.size === 0) return new Map();
  const { rows } = await sql<{ id: string; ip_version: 4 | 6 }>`select id, ip_version from subnet_pool
    where is_default`.execute(tx);
  const found = new Map(rows.map((row) => [row.ip_version, row.id]));
  for (const version of versions) {
    if (!found.has(version)) throw new CloudError('invalid', 'no_default_subnet_pool', { ip_version: version });
  }
  return found;
}

async function lockPools(tx: Tx, caller: Caller, ids: readonly string[]): Promise<Map<string, OpenPool>> {
  // One round trip, but two statements: what is taken must be read as it is once the locks are ours.
  const [, { rows }] = await Promise.all([
    sql`select from subnet_pool where id = any(${[...ids]}::uuid[]) order by id for no key update`.execute(tx),
    sql<OpenPool>`select p.*, p.prefixes::text[] as prefixes, ${grantsOf('subnet_pool', 'p')} as grants, coalesce((
        select jsonb_agg(jsonb_build_object('cidr', s.cidr, 'project_id', s.project_id))
        from subnet s where s.subnet_pool_id = p.id), '[]') as taken
      from subnet_pool p where p.id = any(${[...ids]}::uuid[])`.execute(tx),
  ]);
  const pools = new Map(rows.map((row) => [row.id, row]));
  for (const id of ids) {
    const pool = pools.get(id);
    // The default one is for all, whosever it is.
    if (!pool || !(pool.is_default || mayUse(caller, pool))) throw notFound('subnet_pool', id);
  }
  return pools;
}

function take(pool: OpenPool, wish: PrefixWish): string {
  if (pool.ip_version !== wish.ip_version) {
    throw new CloudError('invalid', 'subnet_pool_of_another_ip_version', {
      ip_version: wish.ip_version,
      of_pool: pool.ip_version,
    });
  }
  const length =
    wish.cidr === undefined ? (wish.prefix_length ?? pool.default_prefix_length) : parseCidr(wish.cidr)!.prefixLength;
  if (length > pool.max_prefix_length) {
    throw new CloudError('invalid', 'max_prefix_subnet_allocation_error', { length, maximum: pool.max_prefix_length });
  }
  if (length < pool.min_prefix_length) {
    throw new CloudError('invalid', 'min_prefix_subnet_allocation_error', { length, minimum: pool.min_prefix_length });
  }
  checkPoolQuota(pool, wish.project_id, length);
  const taken = pool.taken.map(({ cidr }) => cidr);
  const free = minus(pool.ip_version, pool.prefixes, taken);
  const cidr = wish.cidr ?? cut(pool.ip_version, free, length);
  if (cidr === undefined) throw new CloudError('conflict', 'subnet_pool_exhausted', { length });
  if (wish.cidr !== undefined && !isWithin([cidr], free)) {
    throw new CloudError('conflict', 'subnet_pool_prefix_not_available', { cidr });
  }
  pool.taken.push({ cidr, project_id: wish.project_id });
  return cidr;
}

/** Each subnet counts by its size; see the column. @throws CloudError `conflict` */
function checkPoolQuota(pool: OpenPool, projectId: string, length: number): void {
  if (!pool.default_quota) return;
  const bits = bitsOf(pool.ip_version);
  const size = (prefixLength: number) => 1n << BigInt(bits - prefixLength);
  const used = pool.taken
    .filter((subnet) => subnet.project_id === projectId)
    .reduce((sum, { cidr }) => sum + size(parseCidr(cidr)!.prefixLength), size(length));
  const unit = pool.ip_version === 4 ? 1n : 1n << 64n;
  if (used > BigInt(pool.default_quota) * unit) {
    throw new CloudError('conflict', 'subnet_pool_quota_exceeded', { id: pool.id, quota: pool.default_quota });
  }
}

/** The pool and the scope of subnets of one network and IP version; a new one must fit. @throws CloudError `invalid` */
export async function checkAffinity(
  tx: Tx,
  subnet: { network_id: string; ip_version: 4 | 6; subnet_pool_id: string | null },
): Promise<void> {
  const { rows } = await sql<{ pool: string | null; scope: string | null; own_scope: string | null }>`
    select distinct s.subnet_pool_id as pool, p.address_scope_id as scope,
      (select address_scope_id from subnet_pool where id = ${subnet.subnet_pool_id}) as own_scope
    from subnet s left join subnet_pool p on p.id = s.subnet_pool_id
    where s.network_id = ${subnet.network_id} and s.ip_version = ${subnet.ip_version}`.execute(tx);
  const scoped = rows.find(({ scope }) => scope !== null);
  if (scoped && scoped.scope !== scoped.own_scope) {
    throw new CloudError('invalid', 'network_address_scope_affinity_error', {});
  }
  if (!scoped && rows.some(({ pool }) => pool !== subnet.subnet_pool_id)) {
    throw new CloudError('invalid', 'network_subnet_pool_affinity_error', {});
  }
}
