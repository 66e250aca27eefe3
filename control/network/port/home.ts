/** Ports of routed networks and their hosts: what waited for one gets its addresses, and what has some stays where they work. */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import type { Tx } from '../../kit/database/database.ts';
import type { SubnetFacts } from '../address/plan.ts';
import { homeOn, isRouted } from '../segment/home.ts';
import { holdNetworks } from './create.ts';
import { giveAddresses, type PortForAddresses } from './update-addresses.ts';

/** These ports waited for the host that they have now. */
export async function giveDeferred(tx: Tx, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  const { rows } = await sql<
    PortForAddresses & { host: string }
  >`select p.id, p.network_id, p.mac::text, p.device_owner, h.name as host
    from port p join host h on h.id = p.host_id where p.id = any(${[...ids]}::uuid[]) order by p.network_id, p.id`.execute(
    tx,
  );
  const networks = await holdNetworks(
    tx,
    rows.map((port) => port.network_id),
  );
  for (const port of rows) await giveAt(tx, port, networks.get(port.network_id)!.subnets, port.host);
}

async function giveAt(tx: Tx, port: PortForAddresses, subnets: readonly SubnetFacts[], host: string): Promise<void> {
  await giveAddresses(tx, { ...port, segment_id: await homeOn(tx, port.network_id, host) }, subnets);
  await sql`update port set ip_deferred = false where id = ${port.id}`.execute(tx);
}

/** A port is told which host it is on. @throws CloudError `conflict` where its addresses do not work there */
export async function moveHome(
  tx: Tx,
  port: PortForAddresses & { ip_deferred: boolean },
  subnets: readonly SubnetFacts[],
  host: string,
): Promise<void> {
  if (host === '' || !isRouted(subnets)) return;
  if (port.ip_deferred) return giveAt(tx, port, subnets, host);
  const home = await homeOn(tx, port.network_id, host);
  const { rows } = await sql`select from port_ip i join subnet s on s.id = i.subnet_id
    where i.port_id = ${port.id} and s.segment_id is distinct from ${home}::uuid limit 1`.execute(tx);
  if (rows.length > 0) throw new CloudError('conflict', 'host_not_compatible_with_fixed_ips', { host, port: port.id });
}
