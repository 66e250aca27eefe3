/**
 * A server whose host is lost becomes another host's: everything in the transaction that decides, by evidence that its guest does not run any more where it was. Its disk is
 * made anew of its image, for what lies on the lost host nobody has. If the process dies it has happened or has not; the host that returns hears that
 * the server is absent there, and its reports count no more.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { type HostId, newId, type ServerId } from '../../../contract/ids.ts';
import type { Tx } from '../../kit/database/database.ts';
import { json } from '../../kit/database/schema.ts';
import { beginOperation } from '../../kit/operation/operations.ts';
import { enqueue } from '../../kit/queue/queue.ts';
import type { Placement } from '../placement/index.ts';
import { bytesMs } from './actions/action.ts';
import { giveUpCapture } from './captures.ts';
import type { ServerPorts } from './dependencies.ts';
import type { Evidence } from './evacuation-evidence.ts';
import { placeMove, releaseClaim } from './moving.ts';
import type { ServerRow } from './server.ts';

export interface EvacuationWish {
  evidence: Evidence;
  /** Who asks for it, as of an operation. */
  actor: Parameters<typeof beginOperation>[1];
  /** The only one that it may go to; absent: any. */
  only?: HostId | null;
}

/**
 * @param server its row, locked; it has a host
 * @returns where it goes; without a host nothing has changed but that there is a why-record of it
 * @throws CloudError `conflict` while it is on its way to another host: that one may have it, and the disks that the first one keeps are the last
 */
export async function evacuate(
  tx: Tx,
  { ports }: { ports: Pick<ServerPorts, 'bindServerPorts'> },
  server: ServerRow,
  { evidence, actor, only = null }: EvacuationWish,
): Promise<Placement> {
  const { id, desired_move: move } = server;
  if (move) throw new CloudError('conflict', 'evacuation_of_moving', { id, kept: move.state !== 'moving' });
  const found = await placeMove(tx, { serverId: server.id as ServerId, only });
  if (!found.host) return found;
  const hostId = found.host.id as HostId;
  if (server.desired_capture) await giveUpCapture(tx, server, 'Its host was lost while the image was made.');
  const { generation, epoch } = await give(tx, server.id, hostId);
  await releaseClaim(tx, server.id);
  await ports.bindServerPorts(tx, [
    { serverId: server.id as ServerId, hostId, limits: server.hardware.card_limits ?? {} },
  ]);
  await sql`insert into server_migration (id, project_id, user_id, server_id, server_generation, kind, host_id, target_host_id, target_epoch,
      phase, ended, evidence, old_flavor_id, new_flavor_id)
    values (${newId()}, ${server.project_id}, ${server.user_id}, ${server.id}, ${generation}, 'evacuation', ${server.host_id}, ${hostId}, ${epoch},
      'ended', 'completed', ${json(evidence)}::jsonb, ${server.flavor_id}, ${server.flavor_id})`.execute(tx);
  await beginOperation(tx, actor, {
    ...{ projectId: server.project_id, resourceType: 'server', resourceId: server.id, verb: 'evacuate', generation },
    ...{ deadlineMs: bytesMs, owner: `host ${hostId}`, waitingFor: 'the host to take the server' },
  });
  await enqueue(tx, 'server', server.id);
  return found;
}

/** A new epoch, above all that were ever promised. What was observed was of the guest before. */
async function give(tx: Tx, id: string, hostId: HostId): Promise<{ generation: number; epoch: number }> {
  const { rows } = await sql<{ generation: number; epoch: number }>`
    update server s set host_id = ${hostId}, generation = generation + 1, desired_verb = 'evacuate',
      epoch = greatest(s.epoch, (select max(greatest(target_epoch, other_epoch)) from server_migration where server_id = s.id)) + 1,
      desired_power = case when desired_power = 'off' then 'off' else 'on' end, desired_rescue = null, desired_resize = null, desired_root = null,
      observed_state = 'none', observed_generation = 0, observed_reboot_count = 0, observed_rescue_count = 0, observed_root_count = 0,
      observed_resize_count = 0, resized_at = null, observed_on_lease_end = null, observed_started_at = null, observed_step = null,
      observed_error = null, observed_at = null, fault = null, updated_at = now()
    where id = ${id} returning generation, epoch`.execute(tx);
  return rows[0]!;
}
