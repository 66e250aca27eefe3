/** A resize that nobody confirmed or reverted is confirmed by itself, where the cloud is set so. One transaction; it may be repeated. */
import { sql } from 'kysely';
import { cloudActor, type Database, type Tx } from '../../kit/database/database.ts';
import { beginOperation } from '../../kit/operation/operations.ts';
import { enqueue } from '../../kit/queue/queue.ts';
import { endMigration } from '../server-migration/index.ts';
import { forgetKept } from './migrating.ts';
import { isSatisfied, type ServerState } from './states.ts';
import { updateDesired } from './store.ts';

interface Resized extends ServerState {
  id: string;
  project_id: string;
  resized_at: Date | null;
  now: Date;
}

/** What happens to a host's disk at a confirmation is a matter of moments. */
const confirmMs = 10 * 60_000;

/** @param afterSeconds 0: never. @returns false where there is nothing to confirm yet, or something else is under way */
export async function confirmWhenDue(database: Database, server: Resized, afterSeconds: number): Promise<boolean> {
  const { resized_at: since, now } = server;
  if (afterSeconds <= 0 || since === null || now.getTime() < since.getTime() + afterSeconds * 1000) return false;
  return confirmKept(database, server);
}

/** @returns false where there is nothing to confirm yet, or something else is under way */
export async function confirmKept(database: Database, server: Omit<Resized, 'resized_at' | 'now'>): Promise<boolean> {
  const { id, generation, host_id: hostId } = server;
  const { desired_resize: resize, desired_move: move } = server;
  if ((resize?.state !== 'kept' && move?.state !== 'kept') || server.fault || server.soft_deleted_at) return false;
  if (!isSatisfied(server)) return false;
  return database.transaction(cloudActor, async (tx) => {
    // Unless somebody has acted on it meanwhile. While nobody hears the host that it went to, what the source keeps may be the only copy.
    const { rows } =
      await sql`select from server s where id = ${id} and generation = ${generation} and desired_presence = 'present'
      and (${move === null}::boolean or exists (select from host where id = s.host_id and connected)) for update of s`.execute(
        tx,
      );
    if (rows.length === 0) return false;
    if (move) await forgetKept(tx, { id: move.migration_id, server_id: id });
    else await endMigration(tx, id, resize!.count, 'confirmed');
    const next = await updateDesired(tx, id, 'confirmResize', { resize: null, move: null });
    await beginOperation(tx, cloudActor, {
      ...{ projectId: server.project_id, resourceType: 'server', resourceId: id, verb: 'confirmResize' },
      ...{ generation: next, deadlineMs: confirmMs, owner: `host ${hostId}`, waitingFor: 'the host to hear of it' },
    });
    await enqueue(tx, 'server', id);
    return true;
  });
}

/** As in Nova: nothing can be reverted of it any more. */
export async function confirmResizeOfDeleted(
  tx: Tx,
  { id, desired_resize: resize, desired_move: move }: Pick<Resized, 'id' | 'desired_resize' | 'desired_move'>,
): Promise<void> {
  if (move && move.state !== 'moving') await forgetKept(tx, { id: move.migration_id, server_id: id });
  if (resize?.state === 'kept') await endMigration(tx, id, resize.count, 'confirmed');
}
