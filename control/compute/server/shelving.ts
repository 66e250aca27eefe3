/**
 * What becomes of a server that is shelved, once its host has saved the disk or failed to, and on its way from the host. Each step is one
 * transaction and may be repeated. The host removes what it has when its document says absent, as of a deleted server; the row stays.
 */
import { sql } from 'kysely';
import type { CapturedImage } from '../../../contract/host/index.ts';
import type { ImageId, ServerId } from '../../../contract/ids.ts';
import { removeSavedDisk } from '../../image/index.ts';
import { cloudActor, type Database, type Tx } from '../../kit/database/database.ts';
import { beginOperation, endOperations } from '../../kit/operation/operations.ts';
import { enqueue } from '../../kit/queue/queue.ts';
import { volumesLeftHost } from '../../storage/attachment/index.ts';
import type { ObservedPatch } from './apply-report.ts';
import type { ServerPorts } from './dependencies.ts';
import type { ServerShelve, ServerState } from './states.ts';
import { updateDesired } from './store.ts';

const offloadMs = 10 * 60_000;

/** What follows for the row from the image of its disk, in the report that brought it. @param result null: there is none */
export function afterSaving(
  patch: ObservedPatch,
  shelve: ServerShelve,
  { result, now }: { result: CapturedImage | null; now: Date },
): void {
  if (!result) {
    takeBack(patch, shelve);
    return;
  }
  const saved: ServerShelve = {
    ...{ ...shelve, state: 'saved' },
    image: { format: 'qcow2', size_bytes: result.sizeBytes, sha256: result.sha256 ?? null },
  };
  if (shelve.offload_after === 0) {
    patch.desired_shelve = { ...saved, state: 'offloading', offload_at: now.toISOString() };
    patch.generation++;
  } else if (shelve.offload_after > 0) {
    const at = new Date(now.getTime() + shelve.offload_after * 1000);
    patch.desired_shelve = { ...saved, offload_at: at.toISOString() };
  } else patch.desired_shelve = saved;
}

/** One that boots from a volume has nothing to be saved: once it is off it leaves its host, as in Nova. True where it is so far. */
export function afterStopping(
  patch: ObservedPatch,
  { shelve, satisfied, now }: { shelve: ServerShelve | null; satisfied: boolean; now: Date },
): boolean {
  if (shelve?.state !== 'saving' || shelve.image_id !== null || !satisfied) return false;
  patch.desired_shelve = { ...shelve, state: 'offloading', offload_at: now.toISOString() };
  patch.generation++;
  return true;
}

/** The server is what it was before. */
function takeBack(patch: ObservedPatch, { power }: ServerShelve): void {
  patch.desired_shelve = null;
  if (patch.desired_power === power) return;
  patch.desired_power = power;
  patch.generation++;
}

type Shelved = Pick<ServerState, 'host_id' | 'generation' | 'desired_shelve'> & {
  id: string;
  project_id: string;
  now: Date;
};

/** It has waited on its host for as long as was asked. @returns false where it is not its time */
export async function offloadWhenDue(database: Database, server: Shelved): Promise<boolean> {
  const { id, desired_shelve: shelve, now, generation } = server;
  if (shelve?.state !== 'saved' || shelve.offload_at === undefined) return false;
  const at = new Date(shelve.offload_at);
  if (at.getTime() > now.getTime()) {
    await enqueue(database.query, 'server', id, { at });
    return false;
  }
  return database.transaction(cloudActor, async (tx) => {
    // Unless somebody has unshelved it meanwhile.
    const { rows } = await sql`select from server where id = ${id} and generation = ${generation}
      and desired_presence = 'present' for update`.execute(tx);
    if (rows.length === 0) return false;
    const next = await updateDesired(tx, id, 'shelveOffload', {
      shelve: { ...shelve, state: 'offloading', offload_at: now.toISOString() },
    });
    await beginOperation(tx, cloudActor, {
      ...{ projectId: server.project_id, resourceType: 'server', resourceId: id, verb: 'shelveOffload' },
      ...{ generation: next, deadlineMs: offloadMs },
      ...{ owner: `host ${server.host_id}`, waitingFor: 'the host to remove the server' },
    });
    await enqueue(tx, 'server', id);
    return true;
  });
}

/** Its host has nothing of it any more, or is told until it has not (server_absence). Its ports keep their addresses. */
export async function leaveHost(tx: Tx, id: string, ports: Pick<ServerPorts, 'unbindServerPorts'>): Promise<boolean> {
  const { rows } = await sql<{ generation: number }>`update server set host_id = null,
      desired_shelve = desired_shelve || '{"state": "offloaded"}', observed_generation = generation, observed_state = 'none',
      observed_power = 'off', observed_reboot_count = 0, observed_root_count = 0, observed_started_at = null, observed_step = null,
      observed_error = null, updated_at = now()
    where id = ${id} and desired_presence = 'present' and desired_shelve ->> 'state' = 'offloading'
    returning generation`.execute(tx);
  if (!rows[0]) return false;
  await ports.unbindServerPorts(tx, id as ServerId);
  await volumesLeftHost(tx, id);
  await endOperations(tx, id, rows[0].generation, { state: 'succeeded' });
  return true;
}

/** It runs again from what was saved of it, or is deleted: as in Nova, nobody has to tidy up after it. */
export const dropSaved = async (tx: Tx, { image_id }: ServerShelve): Promise<void> => {
  if (image_id !== null) await removeSavedDisk(tx, image_id as ImageId);
};
