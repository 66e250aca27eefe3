/** Ports are bound where their server is, with what its flavor lets through them (`quota:vif_*`). */
import { sql } from 'kysely';
import type { HostId, ServerId } from '../../../contract/ids.ts';
import type { Tx } from '../../kit/database/database.ts';
import type { ServerPorts } from './dependencies.ts';
import type { ServerRow } from './server.ts';

/** Of `server s`. */
export const cardLimits = sql`coalesce(s.hardware -> 'card_limits', '{}')`;

/** A server without a host has its ports bound when it is placed. Safe to repeat. */
export async function bindPorts(
  tx: Tx,
  ports: Pick<ServerPorts, 'bindServerPorts'>,
  { id, host_id: hostId, hardware }: Pick<ServerRow, 'id' | 'host_id' | 'hardware'>,
): Promise<void> {
  if (hostId === null) return;
  await ports.bindServerPorts(tx, [
    { serverId: id as ServerId, hostId: hostId as HostId, limits: hardware.card_limits ?? {} },
  ]);
}
