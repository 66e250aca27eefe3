/**
 * What a caller means by an end: the id of a port or of what the port is plugged into, or an address. An address that one comes from is
 * a port's where the caller sees one with it; one that is asked for stays an address, since the way decides whose it is.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { parseId } from '../../../contract/ids.ts';
import { canonicalIp } from '../../kit/address.ts';
import { type Caller, isAdmin } from '../../kit/caller.ts';
import type { Queryable } from '../../kit/database/database.ts';
import { rowsOf } from '../../kit/database/one-of.ts';
import { floatingIpListing } from '../floating-ip/floating-ip.ts';
import { portListing } from '../port/port.ts';
import { Joined } from './joined.ts';
import type { End } from './question.ts';

export type Side = 'from' | 'to';

/** A server has a port for each card; any of them is it. */
const mostPorts = 16;

/** Finds ends for one caller; those that are asked for in one turn of the event loop share a statement. */
export class EndFinder {
  readonly #db: Queryable;
  readonly #caller: Caller;
  readonly #ports: Joined<'ids', { given: string; id: string }>;

  constructor(db: Queryable, caller: Caller) {
    this.#db = db;
    this.#caller = caller;
    this.#ports = new Joined(
      ({ ids }) => portsOf(db, caller, ids),
      ({ given }, { ids }) => ids.has(given),
    );
  }

  /**
   * @returns at least one; more than one for a server with several cards
   * @throws CloudError `not_found` where the caller sees no such port or server; `conflict` where several of its ports have the address
   */
  async find(side: Side, given: string): Promise<End[]> {
    const address = canonicalIp(given);
    if (address !== undefined) return [side === 'to' ? { address } : await sourceAt(this.#db, this.#caller, address)];
    const id = parseId(given);
    const ports = id === undefined ? [] : await this.#ports.ask({ ids: [id] });
    if (ports.length === 0) throw new CloudError('not_found', 'reachability_end_not_found', { side, given });
    return ports.map((port) => ({ port: port.id }));
  }
}

/** As {@link EndFinder.find}. */
export const findEnds = (db: Queryable, caller: Caller, side: Side, given: string): Promise<End[]> =>
  new EndFinder(db, caller).find(side, given);

/** In order, for each of the ids, which may be a port's or a device's. */
async function portsOf(db: Queryable, caller: Caller, ids: readonly string[]) {
  const { rows } = await sql<{ given: string; id: string }>`
    select given.id as given, found.id from ${rowsOf({ values: ids, type: 'uuid' })} given(id) cross join lateral (
      select t.id from ${portListing.from}
      where (t.id = given.id or (t.device_id = given.id::text and t.device_owner not like 'network:%')) and ${portListing.visible(caller)}
      order by t.id limit ${mostPorts}) found
    order by given.id, found.id`.execute(db);
  return rows;
}

/**
 * Of two addresses at least one must be that of a port, or of a floating IP, that the caller sees: who reaches whom among strangers is nobody's else affair.
 * @throws CloudError `forbidden`
 */
export async function requireOwnEnd(
  db: Queryable,
  caller: Caller,
  from: readonly End[],
  to: readonly End[],
): Promise<void> {
  if (isAdmin(caller) || [...from, ...to].some(({ port }) => port !== undefined)) return;
  for (const { address } of to) {
    if ((await sourceAt(db, caller, address!)).port !== undefined) return;
    const { rows } = await sql`select from ${floatingIpListing.from}
      where t.floating_ip = ${address}::inet and ${floatingIpListing.visible(caller)}`.execute(db);
    if (rows.length > 0) return;
  }
  throw new CloudError('forbidden', 'reachability_ends_foreign', {});
}

/** Networks of a tenant may have the same addresses; a floating IP stands for one port alone. */
async function sourceAt(db: Queryable, caller: Caller, address: string): Promise<End> {
  const { rows } = await sql<{ port: string; address: string }>`
    select t.port_id as port, host(t.fixed_ip) as address from ${floatingIpListing.from}
      where t.floating_ip = ${address}::inet and t.port_id is not null and ${floatingIpListing.visible(caller)}
    union select t.id, ${address} from ${portListing.from}
      where t.id in (select port_id from port_ip where ip = ${address}::inet)
        and t.device_owner <> 'network:floatingip' and ${portListing.visible(caller)}
    limit 10`.execute(db);
  if (rows.length > 1) {
    const ports = rows.map(({ port }) => port);
    throw new CloudError('conflict', 'reachability_end_ambiguous', { address, ports });
  }
  return rows[0] ?? { address };
}
