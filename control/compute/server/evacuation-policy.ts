/** What becomes of a server when its host is lost, as its owner says it. */
import { sql } from 'kysely';
import type { ServerId } from '../../../contract/ids.ts';
import { actorOf, type Caller, requireAdmin } from '../../kit/caller.ts';
import type { Database, Tx } from '../../kit/database/database.ts';
import { json } from '../../kit/database/schema.ts';
import { beginOperation } from '../../kit/operation/operations.ts';
import { notFound } from '../../kit/refusal.ts';
import { lockPlacement } from '../placement/index.ts';
import { onLockedServer, reachOf, requireUnlocked, shortlyMs } from './actions/action.ts';
import { requireLegal } from './legal.ts';
import { requireRefuge } from './refuges.ts';
import type { ServerRow } from './server.ts';
import type { EvacuationPolicy } from './snapshots.ts';
import { findServer } from './store.ts';

/** Higher ones, which go before other projects' servers, are administrators' to give. */
const ownersPriority = 100;

/** Of a server of which nobody has said anything: it waits for its host. */
const nothingSaid: EvacuationPolicy = { restart: 'never', priority: 0, on_lease_end: 'keep', disk: 'keep' };

/** @throws CloudError `not_found` */
export async function evacuationPolicyOf(database: Database, caller: Caller, id: ServerId): Promise<EvacuationPolicy> {
  const server = await findServer(database.query, reachOf(caller), id);
  if (!server) throw notFound('server', id);
  const { generation: _, ...policy } = server.evacuation_policy ?? { ...nothingSaid, generation: 0 };
  return policy;
}

/**
 * Done when the host says that it keeps to it. What is not said follows from whether it shall be restarted: a guest that nobody ends or stops when its host is not heard of
 * is restarted elsewhere only where something else proves that its host is off.
 * @param wish null: as if nothing had ever been said
 * @throws CloudError `not_found`, `forbidden`, `conflict` where it is locked; `no_capacity` where it shall be restarted elsewhere, and hosts keep no room for it
 */
export function setEvacuationPolicy(
  database: Database,
  caller: Caller,
  id: ServerId,
  wish: Partial<EvacuationPolicy> | null,
): Promise<EvacuationPolicy> {
  const doing = 'say what becomes of a server when its host is lost';
  return onLockedServer({ database }, caller, id, doing, async (tx, server) => {
    requireUnlocked(caller, server);
    if ((wish?.priority ?? 0) > ownersPriority)
      requireAdmin(caller, `give a server a priority above ${ownersPriority}`);
    requireLegal(server, 'evacuationPolicy');
    const onLeaseEnd = wish?.restart === 'elsewhere' ? 'pause' : 'keep';
    const policy: EvacuationPolicy = { ...nothingSaid, on_lease_end: onLeaseEnd, ...wish };
    const verb = 'evacuationPolicy';
    // Whatever else is under way goes on under its own name.
    const { rows } = await sql<{
      generation: number;
    }>`update server set generation = generation + 1, updated_at = now(),
        evacuation_policy = ${wish && json(policy)}::jsonb || jsonb_build_object('generation', generation + 1)
      where id = ${id} returning generation`.execute(tx);
    const { generation } = rows[0]!;
    await keepRoom(tx, server);
    await beginOperation(tx, actorOf(caller), {
      ...{ projectId: server.project_id, resourceType: 'server', resourceId: id, verb, generation },
      ...{ deadlineMs: shortlyMs, owner: server.host_id === null ? 'control' : `host ${server.host_id}` },
      waitingFor: server.host_id === null ? 'a host to be chosen' : 'the host to hear of it',
    });
    return policy;
  });
}

/** As its policy has it from now on. */
async function keepRoom(tx: Tx, { id, host_id: hostId }: ServerRow): Promise<void> {
  if (hostId === null) return;
  await lockPlacement(tx);
  await sql`delete from server_refuge where server_id = ${id}`.execute(tx);
  await requireRefuge(tx, { serverId: id, hostId });
}
