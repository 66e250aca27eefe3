/**
 * A server changes hosts: the transactions in which it does, or does not. What hosts say of it is judged in
 * control/compute/server-migration/hear.ts; whoever calls these holds the server's row.
 *
 *   taken over          one transaction: owner and epoch, ports, usage, volumes; what the source has is absent, or kept until it is confirmed
 *   came to nothing     the source is the owner as before; under a new epoch where it had let go of the guest already
 *   confirmed           what the source kept is absent
 *   reverted            the target's guest is off, then the source is the owner again
 *
 * If the process dies in between, the host says it again.
 */
import { sql } from 'kysely';
import type { HostId, ServerId } from '../../../contract/ids.ts';
import type { Tx } from '../../kit/database/database.ts';
import { bandwidthOfServer } from '../../network/bandwidth/bandwidth.ts';
import type { CardLimits } from '../../network/port/tables.ts';
import { arriveWithServer, lockVolumesOf, wakeCarried } from '../../storage/volume/index.ts';
import { lockPlacement } from '../placement/index.ts';
import {
  endMove,
  hasLetGo,
  isLive,
  keepAtSource,
  type Migration,
  type MigrationError,
  nextEpoch,
} from '../server-migration/index.ts';
import { forTenant } from './apply-report.ts';
import { cardLimits } from './binding.ts';
import type { ServerPorts } from './dependencies.ts';
import { releaseClaim } from './moving.ts';

type Ports = Pick<ServerPorts, 'bindServerPorts'>;

/** What a size is made of, as JSON; `s` is the server. */
const sizeOf = sql`jsonb_build_object('flavor_id', s.flavor_id, 'flavor', s.flavor, 'vcpus', s.vcpus, 'memory_mib', s.memory_mib,
  'disk_gib', s.disk_gib, 'local_disks', s.local_disks, 'local_gib', s.local_gib, 'hardware', s.hardware)`;

/** Columns of the server from a size of migration `m`, where it has one. */
const takeSize = sql`flavor_id = coalesce((m.other_size ->> 'flavor_id')::uuid, s.flavor_id), flavor = coalesce(m.other_size -> 'flavor', s.flavor),
  vcpus = coalesce((m.other_size -> 'vcpus')::integer, s.vcpus), memory_mib = coalesce((m.other_size -> 'memory_mib')::integer, s.memory_mib),
  disk_gib = coalesce((m.other_size -> 'disk_gib')::integer, s.disk_gib), local_disks = coalesce(m.other_size -> 'local_disks', s.local_disks),
  local_gib = coalesce((m.other_size -> 'local_gib')::integer, s.local_gib), hardware = coalesce(m.other_size -> 'hardware', s.hardware)`;

/** Of its new host nothing is known yet. */
const unseen = sql`observed_state = 'building', observed_started_at = null, observed_step = null, observed_error = null,
  observed_on_lease_end = null`;

/** A host that runs a guest carries it, whatever its cards have promised meanwhile. */
async function bind(tx: Tx, ports: Ports, serverId: string, hostId: string): Promise<void> {
  const { rows } = await sql<{ limits: CardLimits }>`select ${cardLimits} as limits,
    set_config('bothy.carried', 'yes', true) from server s where s.id = ${serverId}`.execute(tx);
  await ports.bindServerPorts(tx, [
    { serverId: serverId as ServerId, hostId: hostId as HostId, limits: rows[0]?.limits ?? {} },
  ]);
  await sql`select set_config('bothy.carried', '', true)`.execute(tx);
}

/** The target has said so: it is the owner. */
export async function takeOver(tx: Tx, ports: Ports, migration: Migration): Promise<void> {
  const { id, server_id: serverId, target_host_id: targetId } = migration;
  const live = isLive(migration);
  await lockVolumesOf(tx, [serverId]);
  await lockPlacement(tx);
  const { rows } = await sql<{
    epoch: number;
    size: unknown;
  }>`select s.epoch, ${sizeOf} as size from server s where s.id = ${serverId}`.execute(tx);
  const before = rows[0]!;
  // A guest that was off is started by a new generation.
  await sql`update server s set host_id = m.target_host_id, epoch = m.other_epoch, ${takeSize}, ${unseen}, updated_at = now(),
      generation = generation + ${live ? 0 : 1},
      desired_move = ${live ? sql`null` : sql`desired_move || '{"state": "moved"}'`}
    from server_migration m where m.id = ${id} and s.id = m.server_id`.execute(tx);
  await bind(tx, ports, serverId, targetId);
  await releaseClaim(tx, serverId);
  await arriveWithServer(tx, { serverId, migrationId: id, targetId });
  if (live) {
    await endMove(tx, id, { ended: 'completed' });
    return;
  }
  const resized = migration.kind === 'resize';
  const size = JSON.stringify(before.size);
  await keepAtSource(tx, id, { epoch: before.epoch, size: resized ? sql`${size}::jsonb` : sql`null` });
  await sql`insert into server_claim (server_id, host_id, vcpus, memory_mib, disk_gib, bandwidth)
    select ${serverId}::uuid, m.host_id, z.vcpus, z.memory_mib, z.disk_gib + z.local_gib, ${bandwidthOfServer(sql`${serverId}::uuid`)}::jsonb
    from server_migration m, jsonb_to_record(${size}::jsonb) as z (vcpus integer, memory_mib bigint, disk_gib bigint, local_gib bigint)
    where m.id = ${id} and m.host_id is not null`.execute(tx);
}

/** The server is where it was. @param ended who ended it: a person, or the hosts */
export async function comeToNothing(
  tx: Tx,
  migration: Migration,
  { ended, error }: { ended: 'cancelled' | 'failed'; error: MigrationError },
): Promise<void> {
  const { id, server_id: serverId } = migration;
  await lockPlacement(tx);
  await endMoveOperations(tx, serverId, forTenant(error, 'The server could not be moved, and is where it was.'));
  await endMove(tx, id, { ended, error });
  await wakeCarried(tx, serverId);
  await releaseClaim(tx, serverId);
  await sql`update server s set desired_move = null, updated_at = now(), generation = generation + ${isLive(migration) ? 0 : 1},
      epoch = ${hasLetGo(migration) ? nextEpoch : sql`epoch`} where s.id = ${serverId}`.execute(tx);
}

/** Of what asked for the move; a delete meanwhile goes on. */
export async function endMoveOperations(tx: Tx, serverId: string, { code, message }: MigrationError): Promise<void> {
  await sql`update operation set state = 'failed', finished_at = now(), updated_at = now(), waiting_for = null,
      error_code = ${code}, error_message = ${message}
    where resource_id = ${serverId} and state = 'running' and verb in ('migrate', 'live-migration', 'resize', 'revertResize')`.execute(
    tx,
  );
}

/** Of migrations that a person, or a deadline, has ended. */
export const calledOff = 'conflict';

/** What the source kept may go. The caller raises the generation. */
export async function forgetKept(tx: Tx, migration: Pick<Migration, 'id' | 'server_id'>): Promise<void> {
  await lockPlacement(tx);
  await endMove(tx, migration.id, { ended: 'confirmed' });
  await releaseClaim(tx, migration.server_id);
}

/** The guest is off at the target: the source, which kept the disks, is the owner again. */
export async function goBack(tx: Tx, ports: Ports, migration: Migration): Promise<void> {
  const { id, server_id: serverId, host_id: sourceId } = migration;
  await lockPlacement(tx);
  await releaseClaim(tx, serverId);
  await sql`update server s set host_id = m.host_id, epoch = ${nextEpoch}, ${takeSize}, ${unseen}, generation = generation + 1,
      desired_move = null, resized_at = null, updated_at = now()
    from server_migration m where m.id = ${id} and s.id = m.server_id`.execute(tx);
  await bind(tx, ports, serverId, sourceId);
  await endMove(tx, id, { ended: 'reverted' });
}
