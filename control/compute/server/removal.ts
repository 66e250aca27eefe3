/** The end of a server: its row, and whatever of it is nowhere but in the database. */
import { sql } from 'kysely';
import type { ImageId, ServerId } from '../../../contract/ids.ts';
import { failCapture } from '../../image/index.ts';
import { cloudActor, type Database } from '../../kit/database/database.ts';
import { endOperations } from '../../kit/operation/operations.ts';
import { releaseServerVolumes } from '../../storage/server-volume/index.ts';
import type { ServerPorts } from './dependencies.ts';
import { dropSaved } from './shelving.ts';
import type { ServerState } from './states.ts';

interface RemovalOptions {
  database: Database;
  ports: Pick<ServerPorts, 'releaseServerPorts'>;
}

/**
 * Of one that shall be absent, and of which its host has nothing any more or is waited for no longer.
 * @returns false where it is not to go, or has come to another host since the look, which has to remove it then
 */
export function removeServer(
  { database, ports }: RemovalOptions,
  server: { id: string; host_id: string | null },
): Promise<boolean> {
  return database.transaction(cloudActor, async (tx) => {
    const { rows } = await sql<Pick<ServerState, 'generation' | 'desired_capture' | 'desired_shelve'>>`
      select generation, desired_capture, desired_shelve from server
      where id = ${server.id} and desired_presence = 'absent' and host_id is not distinct from ${server.host_id}
      for update`.execute(tx);
    if (!rows[0]) return false;
    if (rows[0].desired_capture) await failCapture(tx, rows[0].desired_capture.image_id as ImageId);
    else if (rows[0].desired_shelve) await dropSaved(tx, rows[0].desired_shelve);
    await ports.releaseServerPorts(tx, server.id as ServerId);
    await releaseServerVolumes(tx, server.id);
    await sql`delete from server where id = ${server.id}`.execute(tx);
    await endOperations(tx, server.id, rows[0].generation, { state: 'succeeded' });
    return true;
  });
}

/**
 * A deleted server without a host goes at once, as in Nova: clients that wait for its end take the ERROR that one shows which found no host for a failure of
 * its deletion. The controller does the same whenever it comes to it.
 */
export async function removeWithoutHost(options: RemovalOptions, id: ServerId): Promise<void> {
  const { rows } = await sql`select from server where id = ${id} and host_id is null and desired_presence = 'absent'
    and not exists (select from server_migration m where m.server_id = ${id} and m.phase <> 'ended')`.execute(
    options.database.query,
  );
  if (rows.length > 0) await removeServer(options, { id, host_id: null });
}
