/**
 * Resize: another flavor, on the same host where that has room, else on another one (move.ts). Until it is confirmed the host, or the one that
 * it left, keeps what the disk was, and a revert brings back that and the flavor. Quota and capacity are counted where the size is raised: at the resize, or at the
 * revert of one that made the server smaller.
 */
import { sql } from 'kysely';
import { CloudError, isCloudError } from '../../../../contract/errors.ts';
import { type Caller, isAdmin } from '../../../kit/caller.ts';
import type { Tx } from '../../../kit/database/database.ts';
import { checkQuota } from '../../../kit/quota/quota.ts';
import type { FlavorRow } from '../../flavor/index.ts';
import { requireAbleHost, resizedHardware } from '../../hardware/index.ts';
import { type HostCapacity, lockPlacement, place } from '../../placement/index.ts';
import { beginMigration, endMigration, turnMove } from '../../server-migration/index.ts';
import { flavorSnapshot } from '../create.ts';
import { localGib, resizedLocalDisks } from '../local-disks.ts';
import { forgetKept } from '../migrating.ts';
import { keepRefuges } from '../refuges.ts';
import { server as descriptor, shareOf } from '../resource.ts';
import { isVolumeBacked, type ServerRow } from '../server.ts';
import type { ServerSize } from '../snapshots.ts';
import type { ServerMove, ServerResize } from '../states.ts';
import { type ActionWork, bytesMs, type Decision, type ServerAction } from './action.ts';
import { begin } from './move.ts';

export interface ResizeWish {
  /** The flavor's id as callers see it. */
  flavor: string;
  diskConfig?: 'AUTO' | 'MANUAL';
}

export const resize: ServerAction<ResizeWish> = {
  verb: 'resize',
  doing: 'resize a server',
  deadlineMs: bytesMs,
  async decide(work, server, { flavor: wanted, diskConfig }): Promise<Decision> {
    const { tx, caller } = work;
    const flavor = await flavorOf(tx, caller, wanted);
    if (flavor.id === server.flavor_id) throw new CloudError('invalid', 'resize_to_same_flavor', {});
    const disk_gib = diskAfter(server, flavor);
    const local_disks = resizedLocalDisks(flavor, server.local_disks);
    const hardwareAfter = resizedHardware(server.hardware, flavor);
    await requireAbleHost(tx, hardwareAfter, server.host_id);
    const after: ServerSize = {
      ...{ flavor_id: flavor.id, flavor: flavorSnapshot(flavor) },
      ...{ vcpus: flavor.vcpus, memory_mib: flavor.memory_mib, disk_gib },
      ...{ local_disks, local_gib: localGib(local_disks) },
      hardware: hardwareAfter,
    };
    const fix = await lackOf(tx, server, after);
    if (fix !== null) return elsewhere(work, server, { after, fix });
    await beginMigration(tx, {
      ...{ projectId: server.project_id, userId: caller.userId, serverId: server.id, hostId: server.host_id },
      ...{ generation: server.generation + 1, oldFlavorId: server.flavor_id, newFlavorId: flavor.id },
    });
    const { flavor_id, flavor: before, vcpus, memory_mib, hardware } = server;
    const disks = { disk_gib: server.disk_gib, local_disks: server.local_disks, local_gib: server.local_gib };
    return {
      ...(diskConfig && { diskConfig }),
      size: after,
      resize: {
        state: 'kept',
        before: { flavor_id, flavor: before, vcpus, memory_mib, ...disks, hardware },
      },
    };
  },
};

/** @throws CloudError `invalid` where no other host takes it either */
async function elsewhere(
  work: ActionWork,
  server: ServerRow,
  { after, fix }: { after: ServerSize; fix: string },
): Promise<Decision> {
  try {
    return await begin(work, server, { kind: 'resize', size: after, host: null });
  } catch (error) {
    if (
      isCloudError(error) &&
      (error.reason === 'no_other_host' || error.reason === 'no_able_host' || error.reason === 'source_host_unable')
    ) {
      throw new CloudError('invalid', 'resize_does_not_fit', { id: server.id, fix });
    }
    throw error;
  }
}

/** A flavor without a disk leaves it as it is; what boots from a volume has none. @throws CloudError `invalid` */
function diskAfter(server: ServerRow, flavor: FlavorRow): number {
  if (isVolumeBacked(server)) return server.disk_gib;
  if (flavor.disk_gib === 0 && server.flavor.disk_gib !== 0) throw new CloudError('invalid', 'resize_to_no_disk', {});
  const disk_gib = flavor.disk_gib === 0 ? server.disk_gib : flavor.disk_gib;
  if (disk_gib < server.disk_gib) throw new CloudError('invalid', 'resize_of_disk_down', { disk_gib: server.disk_gib });
  return disk_gib;
}

export const confirmResize: ServerAction = {
  verb: 'confirmResize',
  doing: 'confirm a resize',
  deadlineMs: bytesMs,
  async decide({ tx }, server) {
    const { desired_move: move } = server;
    if (move?.state === 'kept') {
      await forgetKept(tx, { id: move.migration_id, server_id: server.id });
      return { move: null };
    }
    await endMigration(tx, server.id, requireKept(server).count, 'confirmed');
    return { resize: null };
  },
};

export const revertResize: ServerAction = {
  verb: 'revertResize',
  doing: 'revert a resize',
  deadlineMs: bytesMs,
  async decide({ tx }, server): Promise<Decision> {
    const { desired_move: move } = server;
    if (move?.state === 'kept' || move?.state === 'moved') return turnBack(tx, server, move);
    if (server.fault) {
      const about = { attribute: 'vm_state', value: 'error' } as const;
      throw new CloudError('conflict', 'server_state_conflict', { id: server.id, call: 'revertResize', ...about });
    }
    const { before, count } = requireKept(server);
    const fix = await lackOf(tx, server, before);
    if (fix !== null) throw new CloudError('invalid', 'resize_does_not_fit', { id: server.id, fix });
    await endMigration(tx, server.id, count, 'reverted');
    return { size: before, resize: { state: 'reverted', before } };
  },
};

/** The room that it had is still claimed for it. @throws CloudError `invalid` */
async function turnBack(tx: Tx, server: ServerRow, move: ServerMove): Promise<Decision> {
  const { rows } = await sql<{ up: boolean; volumes: boolean }>`select h.connected and not h.forced_down as up,
      exists (select from volume_attachment where server_id = ${server.id}) as volumes
    from server_migration m join host h on h.id = m.other_host_id where m.id = ${move.migration_id}`.execute(tx);
  if (!rows[0]?.up) throw new CloudError('invalid', 'source_host_away', { id: server.id });
  if (rows[0].volumes) throw new CloudError('invalid', 'volumes_moved', { id: server.id });
  await turnMove(tx, server.id, { to: 'reverting', from: ['moved'] });
  return { move: { ...move, state: 'reverting' } };
}

/** A server stays `resized` without a task until its host has forgotten what the disk was: a confirmation shows no other state. */
function requireKept({ desired_resize: resize }: ServerRow): ServerResize {
  if (resize?.state !== 'kept') throw new CloudError('invalid', 'not_resized', {});
  return resize;
}

async function flavorOf(tx: Tx, caller: Caller, id: string): Promise<FlavorRow> {
  const { rows } = await sql<FlavorRow>`select f.* from flavor f where f.flavor_id = ${id} and not f.disabled
    and (f.public or ${isAdmin(caller)} or exists (select from flavor_access a
      where a.flavor_id = f.id and a.project_id = ${caller.projectId}::uuid))`.execute(tx);
  if (!rows[0]) throw new CloudError('invalid', 'flavor_not_found', { id });
  return rows[0];
}

type Room = Pick<ServerSize, 'vcpus' | 'memory_mib' | 'disk_gib' | 'local_gib'>;

/** Null: its own host has the room; else what would help. @throws CloudError `quota_exceeded` */
async function lackOf(tx: Tx, server: ServerRow, after: Room): Promise<string | null> {
  const more = (key: 'vcpus' | 'memory_mib'): number => Math.max(0, after[key] - server[key]);
  const [vcpus, memory_mib] = [more('vcpus'), more('memory_mib')];
  const local = (after.local_gib ?? server.local_gib) - server.local_gib;
  const disk_gib = Math.max(0, after.disk_gib - server.disk_gib + local);
  if (vcpus + memory_mib + disk_gib === 0) return null;
  await checkQuota(tx, server.project_id, descriptor.usage, { vcpus, memory_mib }, shareOf(server));
  await lockPlacement(tx);
  const { rows } = await sql<
    Pick<HostCapacity, 'id' | 'name' | 'kept' | `${'' | 'used_'}${'vcpus' | 'memory_mib' | 'disk_gib'}`>
  >`
    select h.id, h.name, h.vcpus, h.memory_mib, h.disk_gib, coalesce(u.vcpus, 0)::integer as used_vcpus,
      coalesce(u.memory_mib, 0) as used_memory_mib, coalesce(u.disk_gib, 0) as used_disk_gib,
      (select to_json(k) from host_reserve k where k.host_id = h.id) as kept
    from host h left join host_usage u on u.host_id = h.id where h.id = ${server.host_id}`.execute(tx);
  // What keeps new servers from a host is no matter to one that is there.
  const open = { enabled: true, connected: true, forced_down: false, seen_lately: true, holds_image: true };
  const hosts = rows.map((host) => ({ ...host, ...open, availability_zone: '' }));
  const { host, fix } = place({ vcpus, memory_mib, disk_gib, availability_zone: null, requested_host_id: null }, hosts);
  if (!host) return fix;
  const size = { ...after, disk_gib: after.disk_gib + (after.local_gib ?? server.local_gib) };
  const without = await keepRefuges(tx, [{ serverId: server.id, hostId: host.id, size }]);
  return without.size > 0 ? 'more room on other hosts, of which some is kept for the loss of its own' : null;
}
