/**
 * The volumes that a server is made with: those that are there, and those that are made with it, in its own transaction. Local volumes are
 * where their server is: what is there decides where it goes; where nothing is, the host is chosen here, for both together. What is there on several hosts
 * is brought to one of them (storage/volume/bring.ts), while the server already runs.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { serverLimits } from '../../../contract/host/limits.ts';
import { type ImageId, parseId } from '../../../contract/ids.ts';
import { actorOf, type Caller } from '../../kit/caller.ts';
import type { Tx } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import { type AttachmentRowWish, insertAttachments } from '../../storage/server-volume/index.ts';
import {
  beginBring,
  createVolumeIn,
  emptyWish,
  gibBytes,
  holdVolumeQuota,
  type ListedVolume,
  lockVolume,
  reachOf,
  requireStatus,
} from '../../storage/volume/index.ts';
import {
  cacheWords,
  holdTypeOf,
  iopsOfType,
  servedEncryption,
  type VolumeTypeRow,
} from '../../storage/volume-type/index.ts';
import type { HostHints, PlacementRequest } from '../placement/index.ts';
import type { VolumeSize } from './decisions.ts';
import type { BootImage, ServerImages } from './dependencies.ts';
import { devicePrefix, diskDevices } from './local-disks.ts';
import type { NewServer } from './store.ts';
import { type ChosenHost, chooseHosts } from './volume-hosts.ts';

/** As a request's block device mapping names it. */
export interface ServerVolumeWish {
  /** A volume that is there, or what a new one is made from. */
  source: 'volume' | 'snapshot' | 'image' | 'blank';
  /** Of the source; null: blank. */
  id: string | null;
  /** Null: as large as its source. */
  sizeGib: number | null;
  /** 0: the server boots from it. Null: from others only. */
  bootIndex: number | null;
  tag: string | null;
  deleteOnTermination: boolean;
  /** Name or id of its type; null: the default one. */
  type: string | null;
}

/** What a server boots from, as far as its machine asks. */
export interface BootSource {
  properties: Readonly<Record<string, string>>;
  minMemoryMib: number;
}

export interface VolumePlan {
  wishes: readonly ServerVolumeWish[];
  /** Where the server has to go for them; null: anywhere. */
  hostId: string | null;
  /** Those that have to be brought there, by their ids as the wishes have them. */
  away: ReadonlyMap<string, ListedVolume>;
  /** Null: it does not boot from a volume. */
  boot: BootSource | null;
  /** Of the snapshots that volumes are made of. */
  types: readonly { id: string; name: string }[];
}

/** Of one request: each takes some statements of a transaction that others wait for. */
const newVolumes = 100;

const noVolumes: VolumePlan = { wishes: [], hostId: null, away: new Map(), boot: null, types: [] };

export const rootVolume = (wishes: readonly ServerVolumeWish[]): ServerVolumeWish | undefined =>
  wishes.find(({ bootIndex }) => bootIndex === 0);

interface Found extends BootSource {
  hostId: string | null;
  /** That is there. */
  volume?: ListedVolume;
  bootable: boolean;
  /** What a volume is of that is made of it; null: none is. */
  type: { id: string; name: string } | null;
}

/**
 * Locks what is there and says what follows from it for the server.
 * @throws CloudError `not_found`; `invalid` where one is not available, can't be booted from, or they are on several hosts and can't be brought to one
 */
export async function planVolumes(
  tx: Tx,
  { images }: { images: ServerImages },
  caller: Caller,
  { volumes: wishes, count }: { volumes: readonly ServerVolumeWish[]; count: number },
): Promise<VolumePlan> {
  if (wishes.length === 0) return noVolumes;
  requireBounds(wishes, count);
  const there = wishes.filter(({ source }) => source === 'volume');
  if (count > 1 && there.length > 0) throw new CloudError('invalid', 'volumes_for_many_servers', {});
  const found = new Map<ServerVolumeWish, Found>();
  // In one order, so that of two requests for the same volumes one waits for the other.
  for (const wish of there.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)))
    found.set(wish, await ofVolume(tx, caller, wish.id!));
  for (const wish of wishes.filter(({ source }) => source === 'snapshot'))
    found.set(wish, await ofSnapshot(tx, caller, wish.id!));
  const hostId = hostOf(found);
  const away = [...found.values()].flatMap(({ volume }) =>
    volume?.host_id && volume.host_id !== hostId ? volume : [],
  );
  const types = [...found.values()].flatMap(({ type }) => type ?? []);
  return {
    wishes,
    hostId,
    away: new Map(away.map((volume) => [volume.id, volume])),
    types,
    boot: await bootSource(tx, { images, caller, found }, rootVolume(wishes)),
  };
}

/**
 * Where the server goes. What it boots from can't come later, and what is made of a snapshot is where that is; else it is where most of its bytes are.
 * Null: nowhere yet.
 */
function hostOf(found: ReadonlyMap<ServerVolumeWish, Found>): string | null {
  const bytes = new Map<string, number>();
  const pinned = new Set<string>();
  for (const [{ bootIndex }, { hostId, volume }] of found) {
    if (hostId === null) continue;
    if (bootIndex === 0 || !volume) pinned.add(hostId);
    bytes.set(hostId, (bytes.get(hostId) ?? 0) + (volume?.layer_bytes ?? 0));
  }
  if (pinned.size > 1) throw new CloudError('invalid', 'volumes_on_several_hosts', {});
  const [most] = [...bytes].toSorted(([a, ofA], [b, ofB]) => ofB - ofA || (a < b ? -1 : 1));
  return [...pinned][0] ?? most?.[0] ?? null;
}

/** As the database has ids, however they are written. */
const keyOf = ({ id }: ServerVolumeWish): string => parseId(id!) ?? '';

/** Before anything is locked: all others that place something wait meanwhile. */
function requireBounds(wishes: readonly ServerVolumeWish[], count: number): void {
  if (wishes.length > serverLimits.volumes) {
    throw new CloudError('forbidden', 'server_volumes_full', { maximum: serverLimits.volumes });
  }
  const made = wishes.filter(({ source }) => source !== 'volume').length * count;
  if (made > newVolumes) throw new CloudError('invalid', 'too_many_new_volumes', { maximum: newVolumes });
}

async function ofVolume(tx: Tx, caller: Caller, id: string): Promise<Found> {
  const volume = await lockVolume(tx, reachOf(caller), id);
  requireStatus(volume, 'attach', ['available']);
  return { hostId: volume.host_id, volume, bootable: volume.bootable, type: null, ...sourceOf(volume.image_metadata) };
}

async function ofSnapshot(tx: Tx, caller: Caller, id: string): Promise<Found> {
  const reach = reachOf(caller);
  const { rows } = await sql<{
    host_id: string | null;
    bootable: boolean;
    image_metadata: Record<string, string> | null;
    type: Found['type'];
  }>`
    select v.host_id, v.bootable, v.image_metadata, jsonb_build_object('id', t.id, 'name', t.name) as type
    from volume_snapshot n join volume v on v.id = n.volume_id join volume_type t on t.id = v.volume_type_id
    where n.id = ${parseId(id) ?? null}::uuid and ${reach === 'all' ? sql`true` : sql`n.project_id = ${reach.projectId}::uuid`}`.execute(
    tx,
  );
  if (!rows[0]) throw notFound('volume_snapshot', id);
  const { host_id: hostId, bootable, type, image_metadata } = rows[0];
  return { hostId, bootable, type, ...sourceOf(image_metadata) };
}

/** What a volume has kept of the image that it was made from. */
const sourceOf = (metadata: Record<string, string> | null): BootSource => ({
  properties: metadata ?? {},
  minMemoryMib: Number.parseInt(metadata?.min_ram ?? '0', 10) || 0,
});

async function bootSource(
  tx: Tx,
  { images, caller, found }: { images: ServerImages; caller: Caller; found: ReadonlyMap<ServerVolumeWish, Found> },
  root: ServerVolumeWish | undefined,
): Promise<BootSource | null> {
  if (!root) return null;
  const known = found.get(root);
  if (known && !known.bootable) throw new CloudError('invalid', 'volume_not_bootable', { id: root.id! });
  if (known) return known;
  if (root.source !== 'image') return { properties: {}, minMemoryMib: 0 };
  const image: BootImage = await images.findForVolume(tx, caller, root.id! as ImageId);
  return { properties: image.owner_properties, minMemoryMib: image.min_memory_mib };
}

/**
 * Which host each of the servers goes to for its volumes; null: to any. Where none has room, why. Whoever makes a volume alone holds its quota before it chooses
 * a pool: so it is held here, too, before hosts and pools are.
 */
export async function hostsForVolumes(
  tx: Tx,
  {
    request,
    plan,
    servers,
  }: { request: PlacementRequest & { hints: HostHints }; plan: VolumePlan; servers: readonly NewServer[] },
): Promise<ChosenHost[]> {
  const made = plan.wishes.filter(({ source }) => source !== 'volume');
  if (made.length === 0) return servers.map(() => ({ hostId: plan.hostId, why: '' }));
  const projectId = servers[0]!.project_id;
  const types = new Map<string | null, VolumeTypeRow>();
  for (const { type } of made) types.set(type, types.get(type) ?? (await holdTypeOf(tx, projectId, type)));
  await holdVolumeQuota(tx, projectId, [...types.values(), ...plan.types]);
  if (plan.hostId !== null) return servers.map(() => ({ hostId: plan.hostId, why: '' }));
  const volumes: VolumeSize[] = [];
  for (const { sizeGib, type } of made) {
    const found = types.get(type)!;
    const { extra_specs: extraSpecs } = found;
    const encrypted = (await servedEncryption(tx, found)) !== undefined;
    const size = sizeGib ?? 1;
    const iops = found.qos_specs_id === null ? 0 : await iopsOfType(tx, found.id, size);
    volumes.push({ sizeBytes: size * gibBytes, extraSpecs, cache: cacheWords(extraSpecs), encrypted, iops });
  }
  const imageId = rootVolume(made)?.id ?? null;
  return chooseHosts(tx, request, { volumes, imageId, servers });
}

/**
 * Makes those that are to be made, on the host of each server, and gives each server its own.
 * @returns by server why it found no place for its volumes: then it can't run
 */
export async function giveVolumes(
  tx: Tx,
  { images, caller }: { images: ServerImages; caller: Caller },
  { plan, servers, hosts }: { plan: VolumePlan; servers: readonly NewServer[]; hosts: readonly ChosenHost[] },
): Promise<Map<string, string>> {
  const failed = new Map<string, string>();
  for (const [index, server] of plan.wishes.length === 0 ? [] : servers.entries()) {
    const { hostId, why } = hosts[index]!;
    const rows: AttachmentRowWish[] = [];
    for (const wish of plan.wishes) {
      // Of a server that can't run nothing is made that somebody would have to delete.
      if (wish.source !== 'volume' && hostId === null) failed.set(server.id, why);
      if (wish.source !== 'volume' && failed.has(server.id)) continue;
      const made = wish.source === 'volume' ? null : await makeVolume(tx, { images, caller }, { wish, server, hostId });
      if (made?.fault != null) failed.set(server.id, made.fault);
      const { tag, deleteOnTermination, bootIndex } = wish;
      const volumeId = made?.id ?? keyOf(wish);
      const targetHostId = plan.away.has(volumeId) ? hostId : null;
      rows.push({ volumeId, tag, deleteOnTermination, bootIndex, atOnce: false, targetHostId });
    }
    const prefix = devicePrefix(server.hardware);
    const place = { host_id: null, generation: 0, devices: diskDevices(server, prefix), prefix };
    // To one that can't run nothing is brought.
    const given = rows.filter(({ targetHostId }) => targetHostId === null || !failed.has(server.id));
    await insertAttachments(tx, { ...server, ...place }, given);
    for (const { volumeId, targetHostId } of given)
      if (targetHostId != null)
        await beginBring(tx, actorOf(caller), plan.away.get(volumeId)!, {
          serverId: server.id,
          targetId: targetHostId,
        });
  }
  return failed;
}

function makeVolume(
  tx: Tx,
  { images, caller }: { images: ServerImages; caller: Caller },
  { wish, server, hostId }: { wish: ServerVolumeWish; server: NewServer; hostId: string | null },
) {
  return createVolumeIn(tx, { images }, caller, {
    projectId: server.project_id,
    wish: {
      ...{ ...emptyWish, sizeGib: wish.sizeGib, type: wish.type, hostId },
      ...(wish.source === 'snapshot' && { snapshotId: wish.id }),
      ...(wish.source === 'image' && { imageId: wish.id }),
    },
  });
}
