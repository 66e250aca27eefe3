/**
 * Gives an existing port other addresses: what is asked for and already there stays, the rest goes, new ones come.
 * Part of the caller's transaction, which holds the port's row.
 */

import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { canonicalIp } from '../../kit/address.ts';
import type { Tx } from '../../kit/database/database.ts';
import { json } from '../../kit/database/schema.ts';
import { firstTries, type IpWant, type TakenIp, takeRest } from '../address/allocate.ts';
import {
  choosesOwnAddress,
  type FixedIpWish,
  interfaceOwners,
  ownAddress,
  planAddresses,
  type SubnetFacts,
} from '../address/plan.ts';
import { checkAddressCount } from './create.ts';
import { requireNoLocalIp } from './local-ip-port.ts';

export interface PortForAddresses {
  id: string;
  network_id: string;
  mac: string;
  device_owner: string;
  /** On a routed network: that of its host. */
  segment_id?: string;
}

interface CurrentIp {
  subnet_id: string;
  ip: string;
}

/** What stays, and what is wanted beyond it. Pure. */
export function compareAddresses(
  current: readonly CurrentIp[],
  wishes: readonly FixedIpWish[],
  isKept: (ip: CurrentIp) => boolean,
): { stay: CurrentIp[]; add: FixedIpWish[]; remove: CurrentIp[] } {
  let left = [...current];
  const stay: CurrentIp[] = [];
  const add: FixedIpWish[] = [];
  const claim = (match: (ip: CurrentIp) => boolean): boolean => {
    const found = left.find(match);
    if (found) {
      stay.push(found);
      left = left.filter((ip) => ip !== found);
    }
    return found !== undefined;
  };
  // Wishes for an address first: a wish for any address of the subnet must not take it from them.
  for (const wish of wishes.filter(({ ip }) => ip !== undefined)) {
    const ip = canonicalIp(wish.ip!);
    if (!claim((one) => one.ip === ip && (wish.subnet_id ?? one.subnet_id) === one.subnet_id)) add.push(wish);
  }
  for (const wish of wishes.filter(({ ip }) => ip === undefined)) {
    if (!claim((one) => one.subnet_id === wish.subnet_id)) add.push(wish);
  }
  for (const ip of left.filter(isKept)) claim((one) => one === ip);
  return { stay, add, remove: left };
}

/** @param wishes undefined: what it has, but that addresses made of its MAC address are of the one it has now */
export async function updateAddresses(
  tx: Tx,
  port: PortForAddresses,
  subnets: readonly SubnetFacts[],
  wishes?: readonly FixedIpWish[],
): Promise<void> {
  const { rows: current } = await sql<CurrentIp>`select subnet_id, host(ip) as ip from port_ip
    where port_id = ${port.id} order by position`.execute(tx);
  const isRouter = interfaceOwners.includes(port.device_owner);
  const own = new Map(
    subnets
      .filter((subnet) => !isRouter && choosesOwnAddress(subnet))
      .map((one) => [one.id, ownAddress(one, port.mac)]),
  );
  // Of a MAC address that it had before.
  const stale = current.filter((ip) => own.has(ip.subnet_id) && own.get(ip.subnet_id) !== ip.ip);
  const usable = current.filter((ip) => !stale.includes(ip));
  const { stay, add, remove } = compareAddresses(usable, wishes ?? usable, (ip) => own.has(ip.subnet_id));
  await removeAddresses(tx, port.id, [...stale, ...remove]);
  const kept = subnets.find(({ id }) => stay.some((ip) => ip.subnet_id === id))?.segment_id;
  const home = port.segment_id ?? kept;
  const plans = planAddresses({ ...port, fixed_ips: add, ...(home && { segment_id: home }) }, subnets);
  const wants = plans
    .filter((plan) => plan.ip === null || !stay.some((ip) => ip.ip === plan.ip && ip.subnet_id === plan.subnets[0]!.id))
    .map(
      (plan, index): IpWant => ({
        ...plan,
        position: stay.length + index,
        portId: port.id,
        networkId: port.network_id,
      }),
    );
  checkAddressCount(stay.length + wants.length);
  const positions = json(stay.map((ip, position) => ({ ...ip, position })));
  await sql`update port_ip set position = s.position
    from jsonb_to_recordset(${positions}::jsonb) as s(subnet_id uuid, ip inet, position integer)
    where port_ip.subnet_id = s.subnet_id and port_ip.ip = s.ip and port_ip.position <> s.position`.execute(tx);
  if (wants.length > 0) await takeAddresses(tx, wants);
}

/** With the segment of the addresses that it has. */
async function atItsHome(tx: Tx, port: PortForAddresses): Promise<PortForAddresses> {
  const { rows } = await sql<{
    segment_id: string;
  }>`select s.segment_id from port_ip i join subnet s on s.id = i.subnet_id
    where i.port_id = ${port.id} and s.segment_id is not null limit 1`.execute(tx);
  return rows[0] ? { ...port, segment_id: rows[0].segment_id } : port;
}

/** One more, of any subnet of the network that gives addresses to such a port; those of IPv4 first. */
export async function addAddress(tx: Tx, port: PortForAddresses, subnets: readonly SubnetFacts[]): Promise<void> {
  const { rows } = await sql<{ count: number; next: number }>`select count(*)::integer as count,
      coalesce(max(position) + 1, 0)::integer as next from port_ip where port_id = ${port.id}`.execute(tx);
  const { count, next } = rows[0]!;
  checkAddressCount(count + 1);
  const giving = planAddresses(await atItsHome(tx, port), subnets).filter(({ ip }) => ip === null);
  const [of] = giving;
  if (!of) throw new CloudError('conflict', 'ip_address_generation_failure', { network: port.network_id });
  const candidates = giving.flatMap((plan) => plan.subnets);
  await takeAddresses(tx, [
    { ...of, subnets: candidates, position: next, portId: port.id, networkId: port.network_id },
  ]);
}

/** The first ones of a port that has none: what its network gives by default. */
export async function giveAddresses(tx: Tx, port: PortForAddresses, subnets: readonly SubnetFacts[]): Promise<void> {
  const plans = planAddresses(port, subnets);
  checkAddressCount(plans.length);
  if (plans.length === 0) return;
  await takeAddresses(
    tx,
    plans.map((plan) => ({ ...plan, portId: port.id, networkId: port.network_id })),
  );
}

async function removeAddresses(tx: Tx, portId: string, remove: readonly CurrentIp[]): Promise<void> {
  if (remove.length === 0) return;
  const ips = remove.map(({ ip }) => ip);
  const { rows } =
    await sql`select from floating_ip where port_id = ${portId} and fixed_ip = any(${ips}::inet[]) limit 1`.execute(tx);
  if (rows.length > 0) {
    throw new CloudError('invalid', 'fixed_ip_has_floating_ip', { port: portId });
  }
  await requireNoLocalIp(tx, portId, ips);
  await sql`delete from port_ip where port_id = ${portId} and ip = any(${ips}::inet[])
    and subnet_id = any(${remove.map(({ subnet_id }) => subnet_id)}::uuid[])`.execute(tx);
}

async function takeAddresses(tx: Tx, wants: readonly IpWant[]): Promise<void> {
  const { rows } = await sql<TakenIp>`
    insert into port_ip (port_id, subnet_id, network_id, ip, position)
    select i.port_id, i.subnet_id, i.network_id, i.ip, i.position
    from jsonb_populate_recordset(null::port_ip, ${json(firstTries(wants))}::jsonb) i order by i.subnet_id, i.ip
    on conflict (subnet_id, ip) do nothing returning port_id, subnet_id, host(ip) as ip, position`.execute(tx);
  await takeRest(tx, wants, rows);
}
