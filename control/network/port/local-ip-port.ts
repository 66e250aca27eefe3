/** Ports whose address is a local IP (../local-ip): what they may not lose meanwhile. */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import type { Tx } from '../../kit/database/database.ts';

/** The owner of ports that local IPs have for themselves. */
export const localIpOwner = 'network:local_ip';

/** @param ips those that it shall lose; default: all. @throws CloudError `conflict` */
export async function requireNoLocalIp(tx: Tx, portId: string, ips?: readonly string[]): Promise<void> {
  const only = ips ? sql` and local_ip_address = any(${[...ips]}::inet[])` : sql``;
  const { rows } = await sql`select from local_ip where local_port_id = ${portId}${only} limit 1`.execute(tx);
  if (rows.length > 0) throw new CloudError('conflict', 'port_has_local_ip', { port: portId });
}
