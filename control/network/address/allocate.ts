/**
 * Which number: finds free addresses in a subnet's pools and takes them.
 *
 * The primary key (subnet_id, ip) is the only judge. First each wish probes one random address of its pools; with a
 * pool that is not nearly full this is the end of it, whatever the size of the subnet and however many transactions
 * ask at once. Who meets a taken address looks, from a random start, for the first gap: an index scan that is as long
 * as the run of used addresses there. A conflict with a transaction that is still running waits for that one's end, so
 * exhaustion is exact: "no more addresses" means that each is taken by a committed port.
 *
 * Transactions take addresses in order of subnet, and who takes several of one subnet holds the subnet's lock: nobody
 * waits in a circle. All is part of the caller's transaction; a crash leaves nothing.
 */

import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { formatIp, parseIp, type Range } from '../../kit/address.ts';
import type { Queryable, Tx } from '../../kit/database/database.ts';
import type { PlannedIp, SubnetFacts } from './plan.ts';

export interface IpWant extends PlannedIp {
  portId: string;
  networkId: string;
}

export interface TakenIp {
  port_id: string;
  subnet_id: string;
  ip: string;
  position: number;
}

/** One row for the statement that inserts. */
export interface IpRow extends TakenIp {
  network_id: string;
}

export interface SearchFrom {
  from: 'first' | 'random';
}

/** Two to this many addresses of an IPv6 pool are probed at random: short addresses, and still hardly a collision. */
const ipv6WindowBits = 20n;

function randomBelow(limit: bigint): bigint {
  return crypto.getRandomValues(new BigUint64Array(1))[0]! % limit;
}

const poolsOf = (subnet: SubnetFacts): Range[] =>
  subnet.allocation_pools.map(({ start, end }) => ({ first: parseIp(start)!.value, last: parseIp(end)!.value }));

/** A random address of the pools, or undefined where there are none. */
export function probe(subnet: SubnetFacts): bigint | undefined {
  const pools = poolsOf(subnet);
  const size = pools.reduce((sum, pool) => sum + pool.last - pool.first + 1n, 0n);
  if (size === 0n) return undefined;
  const window = subnet.ip_version === 6 && size > 1n << ipv6WindowBits ? 1n << ipv6WindowBits : size;
  let offset = randomBelow(window);
  for (const pool of pools) {
    const length = pool.last - pool.first + 1n;
    if (offset < length) return pool.first + offset;
    offset -= length;
  }
  return undefined;
}

/** The pools, beginning at `start` and wrapping round to it. */
export function rotate(pools: readonly Range[], start: bigint): Range[] {
  const at = pools.findIndex((pool) => start >= pool.first && start <= pool.last);
  if (at < 0) return [...pools];
  const pool = pools[at]!;
  return [
    { first: start, last: pool.last },
    ...pools.slice(at + 1),
    ...pools.slice(0, at),
    ...(start > pool.first ? [{ first: pool.first, last: start - 1n }] : []),
  ];
}

/** The first try of each want: its own address, or a random one of its first subnet with pools. */
export function firstTries(wants: readonly IpWant[]): IpRow[] {
  return wants.flatMap((want) => {
    for (const subnet of want.subnets) {
      const value = want.ip === null ? probe(subnet) : undefined;
      const ip = want.ip ?? (value === undefined ? undefined : formatIp(subnet.ip_version, value));
      if (ip === undefined) continue;
      return [{ port_id: want.portId, subnet_id: subnet.id, network_id: want.networkId, ip, position: want.position }];
    }
    return [];
  });
}

/** Before several addresses of one subnet are taken; see the head of this file. */
export async function lockSubnets(tx: Tx, wants: readonly IpWant[]): Promise<void> {
  const counts = new Map<string, number>();
  for (const { subnets } of wants) for (const { id } of subnets) counts.set(id, (counts.get(id) ?? 0) + 1);
  await holdSubnets(
    tx,
    [...counts].filter(([, count]) => count > 1).map(([id]) => id),
  );
}

/** The same for who takes them one by one. */
export async function holdSubnets(tx: Tx, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  const locks = ids.toSorted().map((id) => sql`pg_advisory_xact_lock(hashtextextended(${`addresses ${id}`}, 0))`);
  await sql`select ${sql.join(locks)}`.execute(tx);
}

/**
 * Takes what the first tries left open.
 * @param options.from where the search begins: the pools' first address, or a random one (so that many don't meet)
 * @throws CloudError `conflict`: the address is in use, or there are no more
 */
export async function takeRest(
  tx: Tx,
  wants: readonly IpWant[],
  taken: readonly TakenIp[],
  options: SearchFrom = { from: 'random' },
): Promise<TakenIp[]> {
  const done = new Set(taken.map((ip) => `${ip.port_id} ${ip.position}`));
  const rest = wants.filter((want) => !done.has(`${want.portId} ${want.position}`));
  const given = rest.find((want) => want.ip !== null);
  if (given) throw addressInUse(given.networkId, given.ip!);
  rest.sort((a, b) => (a.subnets[0]!.id < b.subnets[0]!.id ? -1 : 1));
  const more: TakenIp[] = [];
  for (const want of rest) more.push(await takeFirstGap(tx, want, options));
  return more;
}

const addressInUse = (networkId: string, ip: string) =>
  new CloudError('conflict', 'ip_address_in_use', { network: networkId, ip });

async function takeFirstGap(tx: Tx, want: IpWant, options: SearchFrom): Promise<TakenIp> {
  for (const subnet of want.subnets) {
    for (;;) {
      const { candidate, ip } = await tryGap(tx, want, subnet, options);
      if (ip !== null) return { port_id: want.portId, subnet_id: subnet.id, ip, position: want.position };
      // Another transaction committed the candidate while we waited for it: the next look sees it.
      if (candidate === null) break;
    }
  }
  const first = want.subnets[0];
  throw new CloudError('conflict', 'ip_address_generation_failure', {
    network: want.networkId,
    ...(want.subnets.length === 1 && { subnet: first!.id }),
  });
}

async function tryGap(
  tx: Queryable,
  want: IpWant,
  subnet: SubnetFacts,
  options: SearchFrom,
): Promise<{ candidate: string | null; ip: string | null }> {
  const pools = poolsOf(subnet);
  const start = options.from === 'first' ? pools[0]?.first : probe(subnet);
  if (start === undefined) return { candidate: null, ip: null };
  const ranges = rotate(pools, start);
  const text = (value: bigint) => formatIp(subnet.ip_version, value);
  const { rows } = await sql<{ candidate: string | null; ip: string | null }>`
    with candidate as materialized (
      select free.ip from unnest(${ranges.map((r) => text(r.first))}::inet[], ${ranges.map((r) => text(r.last))}::inet[])
        with ordinality as range (first, last, n)
      cross join lateral (
        (select range.first as ip
          where not exists (select from port_ip u where u.subnet_id = ${subnet.id} and u.ip = range.first))
        union all
        (select used.ip + 1 from port_ip used
          where used.subnet_id = ${subnet.id} and used.ip >= range.first and used.ip < range.last
            and not exists (select from port_ip u where u.subnet_id = ${subnet.id} and u.ip = used.ip + 1)
          order by used.ip limit 1)
        limit 1) as free
      order by range.n limit 1),
    taken as (
      insert into port_ip (port_id, subnet_id, network_id, ip, position)
      select ${want.portId}::uuid, ${subnet.id}::uuid, ${want.networkId}::uuid, ip, ${want.position}::integer from candidate
      on conflict (subnet_id, ip) do nothing returning ip)
    select host(candidate.ip) as candidate, host(taken.ip) as ip from candidate left join taken on true`.execute(tx);
  return rows[0] ?? { candidate: null, ip: null };
}
