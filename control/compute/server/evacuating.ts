/**
 * Servers whose hosts are lost become other hosts': everything in the transaction that decides, by evidence that its guest does not run any more where it was. Its disk is
 * made anew of its image, for what lies on the lost host nobody has; its volumes are what their replicas are, where all of them have one on the host that takes it. If the process dies it has happened or has not; the host that returns hears that
 * the server is absent there, and its reports count no more.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { type HostId, newId, type ServerId } from '../../../contract/ids.ts';
import type { Actor, Tx } from '../../kit/database/database.ts';
import { rowsOf } from '../../kit/database/one-of.ts';
import { json } from '../../kit/database/schema.ts';
import { beginOperations } from '../../kit/operation/operations.ts';
import { enqueueAll } from '../../kit/queue/queue.ts';
import {
  type Promotion,
  promoteForServer,
  type ReplicasOfServer,
  replicasOfServers,
} from '../../storage/replication/index.ts';
import { callOffBrings } from '../../storage/volume/index.ts';
import { type HostPicture, type Placement, wakeHosts } from '../placement/index.ts';
import { bytesMs } from './actions/action.ts';
import { giveUpCapture } from './captures.ts';
import type { ServerPorts } from './dependencies.ts';
import type { Evidence } from './evacuation-evidence.ts';
import { placeMoves } from './moving.ts';
import type { ServerRow } from './server.ts';

export interface EvacuationWish {
  /** Its row, locked; it has a host. */
  server: ServerRow;
  evidence: Evidence;
  /** The only one that it may go to; absent: any. */
  only?: HostId | null;
  /** It is off there; absent: it runs if it shall run. */
  stopped?: boolean;
}

export interface EvacuationDeps {
  ports: Pick<ServerPorts, 'bindServerPorts'>;
  /** Who asks for it, as of operations. */
  actor: Actor;
  /** Of hosts; one that its owner keeps is read faster. */
  picture?: HostPicture;
}

/** From what its volumes go on. */
interface Replicas {
  replicas?: Promotion[];
  /** All that was written until then is in all of them, and no more in any; null: each has its own. */
  replicas_moment?: string | null;
}

/** Whom another host takes. */
interface Taken {
  server: ServerRow;
  evidence: Evidence & Replicas;
  hostId: HostId;
  stopped: boolean;
}

/**
 * Many in one transaction: the lock, the look at the hosts and each kind of row are paid once. In the order of the wishes, each seeing what those before it took.
 * @returns where each goes; of one without a host nothing has changed but that there is a why-record of it
 * @throws CloudError `conflict` while one of them is on its way to another host: that one may have it, and the disks that the first one keeps are the last
 */
export async function evacuate(
  tx: Tx,
  { ports, actor, picture }: EvacuationDeps,
  wishes: readonly EvacuationWish[],
): Promise<Placement[]> {
  for (const { server } of wishes) {
    const { id, desired_move: move } = server;
    if (move) throw new CloudError('conflict', 'evacuation_of_moving', { id, kept: move.state !== 'moving' });
  }
  const replicas = await replicasOfServers(
    tx,
    wishes.map(({ server }) => server.id),
  );
  const decided = await placeMoves(
    tx,
    wishes.map((wish) => moveOf(wish, replicas.get(wish.server.id))),
    picture && { picture },
  );
  const needed = decided.flatMap(({ found }) => (found.host ? [] : (found.wake ?? [])));
  await wakeHosts(tx, [...new Set(needed)], 'servers of a host that is lost need one');
  const taken: Taken[] = [];
  for (const [index, { found }] of decided.entries()) {
    const { server, evidence, stopped = false } = wishes[index]!;
    if (!found.host) continue;
    const own = replicas.get(server.id);
    const promoted = own && (await promoteForServer(tx, server.id, own, actor));
    const known = promoted
      ? { ...evidence, replicas: promoted, replicas_moment: own.moment?.toISOString() ?? null }
      : evidence;
    taken.push({ server, evidence: known, hostId: found.host.id as HostId, stopped });
  }
  if (taken.length > 0) {
    const ids = taken.map(({ server }) => server.id);
    await callOffBrings(tx, ids, 'the host of its server is lost, and the server is brought back on another one');
    await giveAll(tx, { ports, actor }, taken);
  }
  return decided.map(({ found }) => found);
}

/** One whose volumes have replicas goes where those are, and its volumes with it. */
function moveOf({ server, only = null }: EvacuationWish, replicas: ReplicasOfServer | undefined) {
  const serverId = server.id as ServerId;
  if (!replicas || (only !== null && only !== replicas.hostId))
    return { serverId, only, anew: true, usesReserve: true };
  return { serverId, only: replicas.hostId as HostId, withVolumes: true, usesReserve: true };
}

async function giveAll(tx: Tx, { ports, actor }: EvacuationDeps, taken: readonly Taken[]): Promise<void> {
  for (const { server } of taken)
    if (server.desired_capture) await giveUpCapture(tx, server, 'Its host was lost while the image was made.');
  const given = await give(tx, taken);
  await ports.bindServerPorts(
    tx,
    taken.map(({ server, hostId }) => ({
      ...{ serverId: server.id as ServerId, hostId, limits: server.hardware.card_limits ?? {} },
    })),
  );
  await recordEvacuations(tx, taken, given);
  await beginOperations(
    tx,
    actor,
    taken.map(({ server, hostId }) => ({
      ...{ projectId: server.project_id, resourceType: 'server', resourceId: server.id, verb: 'evacuate' },
      ...{ generation: given.get(server.id)!.generation, deadlineMs: bytesMs, owner: `host ${hostId}` as const },
      waitingFor: 'the host to take the server',
    })),
  );
  // Until then the host's word is awaited, and nothing is to be done.
  await enqueueAll(
    tx,
    'server',
    taken.map(({ server }) => server.id),
    { afterMs: bytesMs },
  );
}

interface Given {
  generation: number;
  epoch: number;
}

/** A new epoch, above all that were ever promised. What was observed was of the guest before. */
async function give(tx: Tx, taken: readonly Taken[]): Promise<Map<string, Given>> {
  const hosts = rowsOf(
    { values: taken.map(({ server }) => server.id), type: 'uuid' },
    { values: taken.map(({ hostId }) => hostId), type: 'uuid' },
    { values: taken.map(({ stopped }) => stopped), type: 'boolean' },
  );
  const { rows } = await sql<Given & { id: string }>`
    update server s set host_id = w.host_id, generation = generation + 1, desired_verb = 'evacuate',
      epoch = greatest(s.epoch, (select max(greatest(target_epoch, other_epoch)) from server_migration where server_id = s.id)) + 1,
      desired_power = case when desired_power = 'off' or w.stopped then 'off' else 'on' end, desired_rescue = null, desired_resize = null, desired_root = null,
      observed_state = 'none', observed_generation = 0, observed_reboot_count = 0, observed_rescue_count = 0, observed_root_count = 0,
      observed_resize_count = 0, resized_at = null, observed_on_lease_end = null, observed_started_at = null, observed_step = null,
      observed_error = null, observed_at = null, fault = null, updated_at = now()
    from ${hosts} as w (id, host_id, stopped) where s.id = w.id returning s.id, s.generation, s.epoch`.execute(tx);
  return new Map(rows.map(({ id, ...given }) => [id, given]));
}

async function recordEvacuations(tx: Tx, taken: readonly Taken[], given: ReadonlyMap<string, Given>): Promise<void> {
  const rows = taken.map(({ server, evidence, hostId }) => ({
    ...{ id: newId(), project_id: server.project_id, user_id: server.user_id, server_id: server.id },
    ...{ host_id: server.host_id, target_host_id: hostId, evidence, flavor_id: server.flavor_id },
    ...{ server_generation: given.get(server.id)!.generation, target_epoch: given.get(server.id)!.epoch },
  }));
  await sql`insert into server_migration (id, project_id, user_id, server_id, server_generation, kind, host_id, target_host_id, target_epoch,
      phase, ended, evidence, old_flavor_id, new_flavor_id)
    select id, project_id, user_id, server_id, server_generation, 'evacuation', host_id, target_host_id, target_epoch,
      'ended', 'completed', evidence, flavor_id, flavor_id
    from jsonb_to_recordset(${json(rows)}::jsonb) as m (id uuid, project_id uuid, user_id uuid, server_id uuid, server_generation bigint,
      host_id uuid, target_host_id uuid, target_epoch bigint, evidence jsonb, flavor_id uuid)`.execute(tx);
}
