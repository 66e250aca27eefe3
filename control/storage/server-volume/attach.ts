/**
 * A server gets a volume: the row that says so, with its place in the machine. In the transaction of whoever locked the server's row, which
 * raises the server's generation by one: a host's word of before does not count for the volume.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { serverLimits } from '../../../contract/host/limits.ts';
import { type AttachmentId, newId } from '../../../contract/ids.ts';
import { actorOf, type Caller } from '../../kit/caller.ts';
import { sqlState, type Tx } from '../../kit/database/database.ts';
import { beginCaches } from '../cache/index.ts';
import { type BringWish, beginBring } from '../volume/bring.ts';
import { lockVolume, reachOf } from '../volume/store.ts';
import { requireStatus } from '../volume/volume.ts';
import { freeDevice, freeSlot } from './slots.ts';

/** A server, its row locked. */
export interface VolumeServer {
  id: string;
  project_id: string;
  host_id: string | null;
  generation: number;
  /** How its disks beside its volumes are called. */
  devices: readonly string[];
  /** `sd` where its disks are not on virtio. */
  prefix?: 'vd' | 'sd';
}

export interface AttachmentWish {
  tag: string | null;
  deleteOnTermination: boolean;
  /** 0: it boots from it. */
  bootIndex?: number | null;
}

export interface AttachmentRowWish extends AttachmentWish {
  volumeId: string;
  /** It has it, and nobody has to say so first. */
  atOnce: boolean;
  /** Where the volume has to be before the server can have it; absent, null: it is there. */
  targetHostId?: string | null;
}

export interface NewAttachment {
  id: AttachmentId;
  device: string;
}

/**
 * One that lies on another host is brought to the server's first (../volume/bring.ts): no host hears of it until then.
 * @throws CloudError `not_found` for a volume out of reach; `invalid` where it is not available, or does not come from its host to the server's; `forbidden`
 *   where the machine has no place left
 */
export async function attachVolume(
  tx: Tx,
  caller: Caller,
  server: VolumeServer,
  { volumeId, refusing, ...wish }: AttachmentWish & Pick<BringWish, 'refusing'> & { volumeId: string },
): Promise<NewAttachment & { brought: boolean }> {
  const volume = await lockVolume(tx, reachOf(caller), volumeId);
  requireStatus(volume, 'attach', ['available']);
  const host = server.host_id ?? (await hostOfVolumes(tx, server.id));
  const targetHostId = host === null || host === volume.host_id ? null : host;
  // One that has no host has it at once: nobody has to do anything for it.
  const atOnce = server.host_id === null && targetHostId === null;
  const [made] = await insertAttachments(tx, server, [{ volumeId: volume.id, ...wish, atOnce, targetHostId }]);
  if (targetHostId !== null) {
    const about = { serverId: server.id, targetId: targetHostId, refusing };
    await beginBring(tx, actorOf(caller), volume, about);
  }
  return { ...made!, brought: targetHostId !== null };
}

/**
 * The rows alone, the one that it boots from first: the volumes are locked by this transaction, or made in it.
 * @throws CloudError as {@link attachVolume}
 */
export async function insertAttachments(
  tx: Tx,
  server: VolumeServer,
  wishes: readonly AttachmentRowWish[],
): Promise<NewAttachment[]> {
  const { rows: others } = await sql<{ slot: number; device: string | null }>`select slot, device from volume_attachment
    where server_id = ${server.id}`.execute(tx);
  const slots = new Set(others.map(({ slot }) => slot));
  const devices = new Set([...server.devices, ...others.flatMap(({ device }) => device ?? [])]);
  const first = (wish: AttachmentRowWish) => Number(wish.bootIndex !== 0);
  const rows = wishes
    .toSorted((a, b) => first(a) - first(b))
    .map((wish) => {
      const slot = freeSlot(slots);
      if (slot === undefined) {
        throw new CloudError('forbidden', 'server_volumes_full', { maximum: serverLimits.volumes });
      }
      const device = freeDevice(devices, server.prefix);
      slots.add(slot);
      devices.add(device);
      return {
        ...{ id: newId<AttachmentId>(), volume_id: wish.volumeId, slot, device, boot_index: wish.bootIndex ?? null },
        ...{ tag: wish.tag, delete_on_termination: wish.deleteOnTermination, at_once: wish.atOnce },
        target_host_id: wish.targetHostId ?? null,
      };
    });
  try {
    await sql`insert into volume_attachment (id, project_id, server_id, server_generation, volume_id, slot, device, boot_index, tag,
        delete_on_termination, attached_at, target_host_id)
      select id, ${server.project_id}::uuid, ${server.id}::uuid,
        case when target_host_id is null then ${server.generation + 1}::bigint else 0 end, volume_id, slot, device, boot_index, tag,
        delete_on_termination, case when at_once then now() end, target_host_id
      from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as r(id uuid, volume_id uuid, slot integer, device text,
        boot_index integer, tag text, delete_on_termination boolean, at_once boolean, target_host_id uuid)`.execute(tx);
  } catch (error) {
    if (sqlState(error) !== '23505') throw error;
    // One that the request names twice: another's row would have been seen under the volume's lock.
    const id =
      wishes.find(({ volumeId }, index) => wishes.findIndex((other) => other.volumeId === volumeId) < index)
        ?.volumeId ?? '';
    const fields = { id, call: 'attach', status: 'reserved', wanted: ['available'] } as const;
    throw new CloudError('invalid', 'volume_status_unfit', fields, { cause: error });
  }
  await beginCaches(
    tx,
    wishes.map(({ volumeId }) => volumeId),
  );
  return rows;
}

/** Where a server that has no host has to go for the volumes that it has. */
async function hostOfVolumes(tx: Tx, serverId: string): Promise<string | null> {
  const { rows } = await sql<{
    host_id: string | null;
  }>`select coalesce(a.target_host_id, v.host_id) as host_id from volume_attachment a join volume v on v.id = a.volume_id
    where a.server_id = ${serverId} and coalesce(a.target_host_id, v.host_id) is not null limit 1`.execute(tx);
  return rows[0]?.host_id ?? null;
}
